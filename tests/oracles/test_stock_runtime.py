"""AWS's Python runtime under our emulator: a handler function, Mangum, and our exported handler.

It buffers, so it stands behind the buffered fronts. tests/emulator/test_stock_runtime.py has
the errors that cost it its process.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulator.support import Got, RunningCloud, ask, run_cloud
from tests.oracles.programs import FUNCTIONS, STOCK_PYTHON, needs_stock_python

pytestmark = needs_stock_python
FRONTS = ("url", "http")


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningCloud]:
    """The stock runtime is always run on demand."""
    options = {"python": str(STOCK_PYTHON)}
    with run_cloud(FUNCTIONS / "template_stock.yaml", options=options) as started:
        yield started


def at(cloud: RunningCloud, front: str, function: str) -> str:
    """Where the function's paths begin; an HTTP API shares one host."""
    return cloud.url("http") + f"/{function}" if front == "http" else cloud.url(f"url {function}")


def cookies(got: Got) -> list[str]:
    return [value for name, value in got.headers if name.lower() == "set-cookie"]


@pytest.mark.parametrize("front", FRONTS)
def test_a_handler_function_answers(cloud: RunningCloud, front: str) -> None:
    """A proxy object becomes an HTTP answer."""
    got = ask(at(cloud, front, "plain") + "/a%20b?c=1")
    assert (got.status, got.body) == (202, b"plain")
    assert got.header("x-path").endswith("/a%20b")


@pytest.mark.parametrize("front", FRONTS)
def test_mangum_reads_our_payload(cloud: RunningCloud, front: str) -> None:
    """Method, path, query and body arrive as they were sent; status and cookies come back."""
    got = ask(
        at(cloud, front, "mangum") + "/p/q?a=1&a=2",
        method="POST",
        headers=[("Content-Type", "text/plain; charset=utf-8")],
        body="hé".encode(),
    )
    path = b"/mangum/p/q" if front == "http" else b"/p/q"
    assert (got.status, got.body) == (203, b"POST|" + path + b"|a=1&a=2|h\xc3\xa9")
    assert cookies(got) == ["a=1", "b=2"]


@pytest.mark.parametrize("front", FRONTS)
def test_bytes_survive_both_ways(cloud: RunningCloud, front: str) -> None:
    """All 256 of them, through base64 and back."""
    binary = bytes(range(256))
    assert ask(at(cloud, front, "mangum") + "/bytes").body == binary
    octets = [("Content-Type", "application/octet-stream")]
    url = at(cloud, front, "mangum") + "/in"
    assert ask(url, method="PUT", headers=octets, body=binary).body.endswith(b"||" + binary)


@pytest.mark.parametrize("front", FRONTS)
def test_our_exported_handler_runs_under_it(cloud: RunningCloud, front: str) -> None:
    """One object, three hosts: the stream of our runtime is one whole answer here."""
    got = ask(at(cloud, front, "ours") + "/any")
    assert (got.status, got.body) == (201, b"data: 0\n\ndata: 1\n\ndata: 2\n\n")
    assert (got.header("x-method"), cookies(got)) == ("GET", ["a=1; Path=/", "b=2"])


def test_it_is_invoked_by_boto3(lambdas: Any) -> None:
    """The payload and the context arrive; the result comes back; errors are told as its own."""
    for number in range(3):
        answer = lambdas.invoke(FunctionName="plain", Payload=json.dumps({"n": number}).encode())
        said = json.loads(answer["Payload"].read())
        assert (said["said"], said["function"]) == ({"n": number}, "plain")
        assert said["request"] == answer["ResponseMetadata"]["RequestId"]
    answer = lambdas.invoke(FunctionName="plain", Payload=b'{"raise": 1}')
    error = json.loads(answer["Payload"].read())
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "LookupError")
    assert error["errorMessage"] == "no such thing"
