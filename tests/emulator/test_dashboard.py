"""`/dashboard`: what the functions' metrics say, for a client on this machine."""

import json
from typing import Any

import pytest

from emulator import dashboard
from emulator.embedded_metrics import EmbeddedMetrics
from emulator.http1 import Reply, Request
from tests.emulator.test_server import talk

pytestmark = pytest.mark.anyio


def line(values: dict[str, float], **by: str) -> str:
    """A line of metrics, as a function writes it."""
    about = {
        "Namespace": "Riverrun",
        "Dimensions": [["Service"], ["Service", *by]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in values],
    }
    record = {"_aws": {"Timestamp": 1_900_000_000_000, "CloudWatchMetrics": [about]}}
    return json.dumps({**record, "Service": "guide", **by, **values, "run": "secret-run"})


async def get(metrics: EmbeddedMetrics, target: str, method: str = "GET") -> tuple[bytes, bytes]:
    """The head and the body of an answer."""

    async def handler(_request: Request, reply: Reply) -> None:
        await dashboard.show(metrics, reply)

    said = await talk(handler, f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = said.partition(b"\r\n\r\n")
    return head, body


async def test_what_functions_log_is_shown_by_name_and_dimension() -> None:
    """Figures and codes alone: no run, no owner."""
    metrics = EmbeddedMetrics()
    metrics.read(line({"Runs": 1, "FirstTokenMs": 12.5}, Code="stop"))
    metrics.read(line({"LimitsHit": 3}, Scope="total"))
    head, body = await get(metrics, "/dashboard/figures")
    said: dict[str, Any] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 200")
    assert [row["values"] for row in said["rows"]] == [
        {"Runs": 1, "FirstTokenMs": 12.5},
        {"LimitsHit": 3},
    ]
    assert said["rows"][0]["by"] == {"Service": "guide", "Code": "stop"}
    assert b"secret-run" not in body
    _, later = await get(metrics, f"/dashboard/figures?after={said['count']}")
    assert json.loads(later)["rows"] == []
    _, anew = await get(metrics, "/dashboard/figures?after=99")  # of an emulator before this one
    assert len(json.loads(anew)["rows"]) == 2


@pytest.mark.parametrize(
    "text",
    ["", "hello", '{"_aws"', '{"_aws":1}', '{"_aws":{}}', '{"_aws":{"CloudWatchMetrics":[1]}}',
     '{"_aws":{"Timestamp":"x","CloudWatchMetrics":[]}}', line({"a": float("nan")})[:-9]],
)  # fmt: skip
def test_a_line_that_is_no_metric_is_passed_over(text: str) -> None:
    """As CloudWatch passes it over."""
    metrics = EmbeddedMetrics()
    metrics.read(text)
    assert metrics.list_after(0) == {"count": 0, "rows": []}


async def test_the_page_loads_nothing_from_elsewhere() -> None:
    """Its policy says so, and each of its own files is there."""
    head, page = await get(EmbeddedMetrics(), "/dashboard")
    assert b"default-src 'none'; script-src 'self'; style-src 'self'" in head
    assert b"://" not in page
    for name in ("dashboard.js", "dashboard.css"):
        assert f"/dashboard/{name}".encode() in page
        head, body = await get(EmbeddedMetrics(), f"/dashboard/{name}")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"https:" not in body


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/dashboard/../secrets", "GET", b"404"),
        ("/dashboard/__init__.py", "GET", b"404"),
        ("/dashboard", "POST", b"405"),
    ],
)
async def test_nothing_else_is_served(target: str, method: str, status: bytes) -> None:
    """No file beside its own, no other method."""
    head, _ = await get(EmbeddedMetrics(), target, method)
    assert head.startswith(b"HTTP/1.1 " + status)
