"""AWS's Node runtime client under our emulator: right for runtimes it was not written with.

`aws-lambda-ric` runs `awslambda.streamifyResponse` handlers, the way in which AWS's own
managed runtime streams.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulator.support import Gate, RunningCloud, ask, run_cloud
from tests.oracles.order import read_over_http, read_with_boto3
from tests.oracles.programs import FUNCTIONS, needs_node_client

pytestmark = [needs_node_client, pytest.mark.node]
WHOLE = b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
PRELUDE = {
    "statusCode": 201,
    "headers": {"content-type": "text/event-stream", "x-runtime": "node"},
    "cookies": ["a=1; Path=/", "b=2"],
}


@pytest.fixture(scope="module", params=[None, 4], ids=["on demand", "concurrent"])
def cloud(request: pytest.FixtureRequest) -> Iterator[RunningCloud]:
    """Classic sandboxes, and the client's own multi-concurrent mode."""
    template = FUNCTIONS / "template_node.yaml"
    with run_cloud(template, concurrency=request.param) as started:
        yield started


def at(cloud: RunningCloud, front: str, function: str) -> str:
    return cloud.url("rest") + f"/{function}" if front == "rest" else cloud.url(f"url {function}")


def invoke_streamed(lambdas: Any, function: str, payload: Any) -> tuple[bytes, dict[str, Any]]:
    """All bytes, and the event that completed them."""
    answer = lambdas.invoke_with_response_stream(
        FunctionName=function, Payload=json.dumps(payload).encode()
    )
    with contextlib.closing(answer["EventStream"]) as source:
        *chunks, last = list(source)
    body = b"".join(event["PayloadChunk"]["Payload"] for event in chunks)
    return body, last["InvokeComplete"]


@pytest.mark.parametrize("front", ["url", "rest"])
@pytest.mark.parametrize("function", ["web", "piped"])
def test_an_http_response_stream_becomes_an_answer(
    cloud: RunningCloud, front: str, function: str
) -> None:
    """Status, headers and cookies of HttpResponseStream, written to or piped into."""
    got = ask(at(cloud, front, function))
    assert (got.status, got.body, got.whole) == (201, WHOLE, True)
    assert (got.header("content-type"), got.header("x-runtime")) == ("text/event-stream", "node")
    assert [v for k, v in got.headers if k.lower() == "set-cookie"] == ["a=1; Path=/", "b=2"]


@pytest.mark.parametrize("front", ["url", "rest"])
def test_each_frame_is_read_before_the_next_exists(
    cloud: RunningCloud, gate: Gate, front: str
) -> None:
    """Neither the Node client nor our front holds a frame back."""
    url = cloud.url("rest" if front == "rest" else "url web")
    read_over_http(url, "/web" if front == "rest" else "/", gate)


@pytest.mark.parametrize("function", ["web", "raw"])
def test_an_sdk_reads_each_frame_before_the_next_exists(
    lambdas: Any, gate: Gate, function: str
) -> None:
    """Real boto3, with and without a prelude."""
    read_with_boto3(lambdas, function, {"gate": gate.port}, gate)


def test_an_sdk_gets_the_prelude_as_it_was_written(lambdas: Any) -> None:
    """JSON, eight NULs, body: an SDK's caller is told nothing else."""
    body, complete = invoke_streamed(lambdas, "web", {})
    head, _, rest = body.partition(bytes(8))
    assert (json.loads(head), rest, complete) == (PRELUDE, WHOLE, {})


def test_a_raw_stream_needs_no_prelude(cloud: RunningCloud, lambdas: Any) -> None:
    """As it is through a URL and an SDK; a REST API insists on a prelude."""
    got = ask(cloud.url("url raw"))
    assert (got.status, got.body, got.header("content-type")) == (200, WHOLE, "text/plain")
    assert invoke_streamed(lambdas, "raw", {}) == (WHOLE, {})
    assert ask(cloud.url("rest") + "/raw").status == 500


def test_an_error_in_mid_stream_reaches_the_sdk_and_no_browser(
    cloud: RunningCloud, lambdas: Any
) -> None:
    """Node's trailers, on two Trailer lines, are read; HTTP clients see the body end."""
    body, complete = invoke_streamed(lambdas, "broken", {})
    assert (body, complete["ErrorCode"]) == (b"data: 0\n\n", "Runtime.StreamError")
    assert json.loads(complete["ErrorDetails"])["errorMessage"] == "upstream closed"
    for front in ("url", "rest"):
        got = ask(at(cloud, front, "broken"))
        assert (got.status, got.body, got.whole) == (201, b"data: 0\n\n", True)
        assert b"Function-Error" not in repr(got).encode()


def test_an_error_before_the_first_byte_is_a_trailer_too(lambdas: Any) -> None:
    """The Node client posts an empty stream; the type is not one that Lambda keeps."""
    body, complete = invoke_streamed(lambdas, "unstarted", {})
    assert (body, complete["ErrorCode"]) == (b"", "Runtime.Unknown")
    assert json.loads(complete["ErrorDetails"])["errorType"] == "TypeError"
    assert lambdas.invoke(FunctionName="unstarted", Payload=b"{}")["FunctionError"] == "Unhandled"


def test_more_than_a_buffer_can_hold_is_piped_through(cloud: RunningCloud, lambdas: Any) -> None:
    """Seven megabytes: over the limit of a buffered response, with Node's own backpressure."""
    got = ask(cloud.url("url large"))
    assert (got.whole, got.body == b"x" * 7_000_000) == (True, True)
    body, complete = invoke_streamed(lambdas, "large", {})
    assert (len(body), complete) == (7_000_000, {})


def test_a_buffered_handler_is_answered_and_its_errors_are_told(lambdas: Any) -> None:
    """Node's Content-Length posts, its /error, and the same process afterwards."""
    for _ in range(3):
        answer = lambdas.invoke(FunctionName="buffered", Payload=b'{"rawPath": "/p"}')
        assert json.loads(answer["Payload"].read())["body"] == "buffered /p"
        answer = lambdas.invoke(FunctionName="buffered", Payload=b'{"raise": true}')
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"].read())["errorType"] == "RangeError"
