"""The probe for the first deploy answers what it is to be asked, under the emulator."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.support import RunningCloud, ask, run_cloud

ROOT = Path(__file__).parents[2]
PROBE = ROOT / "examples" / "web_function_probe"
SIGNED = [("Authorization", "AWS4-HMAC-SHA256 Credential=k/20261130/us-east-1/lambda/aws4_request")]


@pytest.fixture
def cloud() -> Iterator[RunningCloud]:
    """The probe as it would be deployed, with time for its last lines on a busy machine."""
    with run_cloud(PROBE / "template.yaml", options={"term_seconds": 20.0}) as started:
        yield started


def lines_of(cloud: RunningCloud, what: str) -> list[dict[str, Any]]:
    """What the probe wrote of `what`."""
    lines = cloud.log_lines(f'{{"probe": "{what}"')
    return [json.loads(line[line.index("{") :]) for line in lines]


def wait_for_line(cloud: RunningCloud, what: str) -> dict[str, Any]:
    """Its line of `what`, which a process that ends writes when it comes to it."""
    for _ in range(1500):
        if found := lines_of(cloud, what):
            return found[0]
        threading.Event().wait(0.02)
    raise AssertionError(f"no line says {what}")


def test_it_says_how_it_was_started_asked_and_ended(cloud: RunningCloud) -> None:
    """Each row of the manual's table is a line of its log or a part of its answer."""
    (url,) = (url for front, url in cloud.cloud.urls.items() if front.startswith("web "))
    asked = ask(f"{url}/?a=b", headers=SIGNED, method="POST", body=b"x" * 1000)
    assert (asked.status, asked.json["bytes"]) == (200, 1000)
    assert asked.json["scope"]["query_string"] == "b'a=b'"
    assert "AWS_LAMBDA_HTTP_ENDPOINT" in asked.json["environment"]
    assert "uvicorn" in wait_for_line(cloud, "loaded")["modules"]
    assert wait_for_line(cloud, "lifespan.startup")
    dots = ask(f"{url}/dots?seconds=1", headers=SIGNED)
    assert dots.body.decode() == ": .\ndata: whole\n\n"
    assert wait_for_line(cloud, "dots")["sent"] == 1
    function = next(iter(cloud.cloud.endpoints.values())).function
    cloud.call(function.retire)
    assert "uvicorn" in wait_for_line(cloud, "SIGTERM")["handler"]
    assert wait_for_line(cloud, "lifespan.shutdown")
