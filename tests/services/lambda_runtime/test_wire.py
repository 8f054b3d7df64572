"""The bytes the runtime sends: golden, and read the same by h11."""

import base64
import json
import sys

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.lambda_runtime import wire

VERSION = ".".join(map(str, sys.version_info[:3])).encode()
HOST = "127.0.0.1:9001"
ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


def test_next_is_golden() -> None:
    """A GET with nothing to spare."""
    assert wire.get(wire.NEXT, host=HOST) == (
        b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
        b"Host: 127.0.0.1:9001\r\n"
        b"User-Agent: riverrun/0.1.0 python/" + VERSION + b"\r\n\r\n"
    )


def test_a_streamed_answer_is_golden() -> None:
    """Head, prelude in a chunk of its own, body, end: as AWS documents them, byte for byte."""
    prelude = wire.prelude(
        200,
        {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"},
        ["sid=1; Path=/; HttpOnly"],
    )
    sent = (
        wire.stream_head(ID, host=HOST, attempt_id="nonce-1")
        + wire.frame_chunk(prelude)
        + wire.frame_chunk(b'data: {"t":"Hi"}\n\n')
        + wire.last_chunk()
    )
    assert sent == (
        b"POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response"
        b" HTTP/1.1\r\n"
        b"Host: 127.0.0.1:9001\r\n"
        b"User-Agent: riverrun/0.1.0 python/" + VERSION + b"\r\n"
        b"Content-Type: application/vnd.awslambda.http-integration-response\r\n"
        b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
        b"Lambda-Runtime-Invocation-Id: nonce-1\r\n"
        b"\r\n"
        b"99\r\n"
        b'{"statusCode":200,"headers":{"content-type":"text/event-stream; charset=utf-8",'
        b'"cache-control":"no-cache"},"cookies":["sid=1; Path=/; HttpOnly"]}'
        b"\0\0\0\0\0\0\0\0\r\n"
        b'12\r\ndata: {"t":"Hi"}\n\n\r\n'
        b"0\r\n\r\n"
    )


def test_error_trailers_are_golden() -> None:
    """The type, and the error object as base64 on one line."""
    failure = wire.Failure("Runtime.StreamError", "upstream closed")
    body = base64.b64encode(
        b'{"errorMessage": "upstream closed", "errorType": "Runtime.StreamError", "stackTrace": []}'
    )
    assert wire.last_chunk(failure) == (
        b"0\r\n"
        b"Lambda-Runtime-Function-Error-Type: Runtime.StreamError\r\n"
        b"Lambda-Runtime-Function-Error-Body: " + body + b"\r\n\r\n"
    )


def test_a_buffered_answer_is_golden() -> None:
    """Content-Length, and no echo when no attempt was named."""
    assert wire.response(ID, b"{}", host=HOST, attempt_id=None) == (
        b"POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response"
        b" HTTP/1.1\r\n"
        b"Host: 127.0.0.1:9001\r\n"
        b"User-Agent: riverrun/0.1.0 python/" + VERSION + b"\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )


def test_an_invocation_error_is_golden() -> None:
    """The stock runtime's error object, with type and echo in the head."""
    failure = wire.Failure("Function.ValueError", "no", "ValueError", ("  File a\n",))
    sent = wire.invocation_error(ID, failure, host=HOST, attempt_id="n")
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].endswith(b"/invocation/" + ID.encode() + b"/error HTTP/1.1")
    assert b"\r\nLambda-Runtime-Function-Error-Type: Function.ValueError\r\n" in head
    assert b"\r\nLambda-Runtime-Invocation-Id: n\r\n" in head
    assert json.loads(body) == {
        "errorMessage": "no",
        "errorType": "ValueError",
        "requestId": ID,
        "stackTrace": ["  File a\n"],
    }


def test_a_failed_start_names_no_attempt() -> None:
    """There is no invocation yet, so nothing to echo."""
    sent = wire.phase_error(
        wire.INIT_ERROR, wire.Failure("Runtime.ImportModuleError", "x"), host=HOST
    )
    assert sent.startswith(b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\n")
    assert b"Invocation-Id" not in sent


@pytest.mark.parametrize(
    ("given_type", "sent"),
    [
        ("Runtime.StreamError", "Runtime.StreamError"),
        ("Function.ValueError", "Function.ValueError"),
        ("Function.my_error", "Function.Unknown"),
        ("Function.E1", "Function.Unknown"),
        ("ValueError", "Runtime.Unknown"),
        ("Runtime.A\r\nX: y", "Runtime.Unknown"),
    ],
)
def test_error_types_are_those_lambda_keeps(given_type: str, sent: str) -> None:
    """Lambda replaces what it does not know; the runtime does it first, so logs agree."""
    assert wire.error_type(given_type) == sent


def read_by_h11(data: bytes, step: int) -> tuple[h11.Request, bytes, dict[bytes, bytes]]:
    """A request as h11 reads it, fed in slices of `step` bytes."""
    http = h11.Connection(h11.SERVER)
    request, body = None, b""
    slices = [data[at : at + step] for at in range(0, len(data), step)]
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(slices.pop(0))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            assert not slices
            return request, body, dict(event.headers.raw_items())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    frames=st.lists(st.binary(max_size=2000), max_size=20),
    message=st.one_of(st.none(), st.text()),
    step=st.integers(1, 4000),
)
def test_h11_reads_every_stream_as_it_was_meant(
    frames: list[bytes], message: str | None, step: int
) -> None:
    """Any frames and any error message; empty frames are no chunks."""
    failure = None if message is None else wire.Failure("Runtime.StreamError", message)
    data = wire.stream_head(ID, host=HOST, attempt_id="n")
    data += b"".join(map(wire.frame_chunk, frames)) + wire.last_chunk(failure)
    request, body, trailers = read_by_h11(data, step)
    assert body == b"".join(frames)
    assert request.method == b"POST"
    if message is None:
        assert trailers == {}
    else:
        decoded = json.loads(base64.b64decode(trailers[b"Lambda-Runtime-Function-Error-Body"]))
        assert decoded["errorMessage"] == message


values = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    status=st.integers(200, 599),
    headers=st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), values),
    cookies=st.lists(values),
)
def test_the_delimiter_is_the_first_nul(
    status: int, headers: dict[str, str], cookies: list[str]
) -> None:
    """No status, header or cookie can end the prelude early."""
    try:
        prelude = wire.prelude(status, headers, cookies)
    except wire.PreludeTooLargeError:
        return
    assert prelude.index(b"\0") == len(prelude) - 8
    assert prelude.endswith(bytes(8))
    assert json.loads(prelude[:-8]) == {
        "statusCode": status,
        "headers": headers,
        "cookies": cookies,
    }


def test_the_delimiter_ends_within_sixteen_kib() -> None:
    """One byte more is refused."""
    spare = 16 * 1024 - len(wire.prelude(200, {"x": ""}))
    assert len(wire.prelude(200, {"x": "v" * spare})) == 16 * 1024
    with pytest.raises(wire.PreludeTooLargeError):
        wire.prelude(200, {"x": "v" * (spare + 1)})
