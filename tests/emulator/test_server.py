"""The server side of HTTP/1.1: connections, bodies, cuts."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from emulator.http1 import Reply, Request
from emulator.server import listen

pytestmark = pytest.mark.anyio


async def talk(
    handler: Callable[[Request, Reply], Awaitable[None]], *said: bytes, eof: bool = True
) -> bytes:
    """Everything the server says to these bytes, each written once the last was taken."""
    server = await listen(handler)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        for data in said:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)
        if eof:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await server.close()


async def echo(request: Request, reply: Reply) -> None:
    body = await request.body.read_all(100)
    await reply.send(200, [("X-Path", request.path)], body)


async def test_requests_follow_each_other_on_one_connection() -> None:
    """Sized, chunked with trailers, and without a body, however the bytes are cut."""
    wire = (
        b"POST /1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab"
        b"POST /2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\nc\r\n0\r\nT: v\r\n\r\n"
        b"\r\nGET /3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    whole = await talk(echo, wire)
    assert [part for part in whole.split(b"\r\n") if part.startswith(b"X-Path")] == [
        b"X-Path: /1",
        b"X-Path: /2",
        b"X-Path: /3",
    ]
    assert await talk(echo, *(bytes([byte]) for byte in wire)) == whole
    assert b"\r\n\r\nab" in whole
    assert b"\r\n\r\nc" in whole


async def test_a_client_that_asks_first_is_told_to_continue() -> None:
    """Expect: 100-continue."""
    said = await talk(
        echo,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        b"a",
    )
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


async def test_a_head_request_gets_the_head_alone() -> None:
    """Not even the last chunk: the next answer follows directly."""

    async def stream(_: Request, reply: Reply) -> None:
        await reply.start(200, [])
        await reply.write(b"ab")
        await reply.finish()

    said = await talk(
        stream,
        b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    first, second, rest = said.split(b"\r\n\r\n")
    assert first == second
    assert rest == b""


async def test_an_old_client_gets_no_chunks() -> None:
    """HTTP/1.0: the end of the connection is the end of the body."""

    async def stream(_: Request, reply: Reply) -> None:
        await reply.start(200, [])
        await reply.write(b"ab")
        await reply.finish()

    said = await talk(stream, b"GET / HTTP/1.0\r\n\r\n")
    assert said.endswith(b"Connection: close\r\n\r\nab")
    assert b"chunked" not in said


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"400",
        ),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c: d\x00\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab", b"400"),
    ],
)
async def test_what_is_not_http_is_refused(head: bytes, status: bytes) -> None:
    """A status, and the end of the connection."""
    assert (await talk(echo, head)).startswith(b"HTTP/1.1 " + status)


async def test_a_cut_lets_what_was_written_arrive() -> None:
    """Every byte before it, no last chunk after it."""

    async def stream(_: Request, reply: Reply) -> None:
        await reply.start(200, [])
        for _n in range(100):
            await reply.write(b"x" * 10_000)
        await reply.cut()

    said = await talk(stream, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", eof=False)
    assert said.count(b"x") == 1_000_000
    assert not said.endswith(b"0\r\n\r\n")


async def test_a_handler_that_fails_is_a_500_or_a_cut(capfd: pytest.CaptureFixture[str]) -> None:
    """Before the head a status, after it a cut; the server lives on and its log has the reason."""

    async def fail(request: Request, reply: Reply) -> None:
        if request.path == "/late":
            await reply.start(200, [])
            await reply.write(b"a")
        raise LookupError(request.path)

    assert (await talk(fail, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).startswith(
        b"HTTP/1.1 500"
    )
    said = await talk(fail, b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n", eof=False)
    assert not said.endswith(b"0\r\n\r\n")
    assert "LookupError: /late" in capfd.readouterr().err


async def test_a_header_cannot_end_its_own_line() -> None:
    """CR, LF and NUL are a ValueError, not a second header."""

    async def inject(_: Request, reply: Reply) -> None:
        for value in ("a\rb", "a\nb", "a\0b"):
            with pytest.raises(ValueError, match="would break"):
                await reply.start(200, [("X", value)])
        await reply.send(200, [])

    assert (await talk(inject, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).startswith(
        b"HTTP/1.1 200"
    )
