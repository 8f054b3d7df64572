"""Other hosts for the same application: uvicorn on a socket, Mangum in a thread."""

import asyncio
import base64
import gzip
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from emulator.server import stop_listening
from services.lambda_runtime import export_handler
from tests.services.lambda_runtime.runtime_api import Call

# Framing and identity of the server: each host has its own.
OWN = {"connection", "content-length", "date", "server", "transfer-encoding"}


@dataclass(frozen=True)
class ResponseView:
    """What a client sees of a response. `whole` is False when the body was cut."""

    status: int
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[str, ...]
    body: bytes
    whole: bool = True


def view(
    status: int,
    headers: list[tuple[str, str]],
    cookies: list[str],
    body: bytes,
    *,
    whole: bool = True,
) -> ResponseView:
    """Repeated headers joined, the hosts' own left out, gzip undone as clients undo it."""
    found: dict[str, list[str]] = {}
    cookies = list(cookies)
    for name, value in headers:
        if name.lower() == "set-cookie":
            cookies.append(value)
        elif name.lower() not in OWN:
            found.setdefault(name.lower(), []).extend(part.strip() for part in value.split(","))
    if found.get("content-encoding") == ["gzip"]:
        del found["content-encoding"]
        body = gzip.decompress(body) if body else body
    if found.get("content-encoding") == ["deflate"]:
        del found["content-encoding"]
        wrapped = body[:1] == b"x"  # a zlib header with the usual window
        body = zlib.decompress(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    joined = tuple(sorted((name, ",".join(values)) for name, values in found.items()))
    return ResponseView(status, joined, tuple(cookies), body, whole)


def view_stream(call: Call) -> ResponseView:
    """What Lambda's HTTP front makes of a streamed answer."""
    prelude = call.prelude
    assert set(prelude) <= {"statusCode", "headers", "cookies", "multiValueHeaders"}
    pairs = list(prelude["headers"].items())
    pairs += [(k, v) for k, values in prelude.get("multiValueHeaders", {}).items() for v in values]
    assert all(name == name.lower() for name, _ in pairs)
    return view(
        prelude["statusCode"], pairs, prelude["cookies"], call.content, whole=not call.trailers
    )


def view_result(result: dict[str, Any]) -> ResponseView:
    """What a buffered front makes of a handler's result."""
    body = result.get("body", "")
    data = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    pairs = list((result.get("headers") or {}).items())
    repeated = result.get("multiValueHeaders") or {}
    if "multiValueHeaders" in result and "cookies" not in result and not result.get("headers"):
        pairs = []
    pairs += [(k, v) for k, values in repeated.items() for v in values]
    return view(result["statusCode"], pairs, result.get("cookies") or [], data)


async def view_mangum(app: Callable[..., Any], payload: dict[str, Any]) -> ResponseView:
    """The exported handler as the stock runtime calls it: no loop, no streaming."""
    handler = export_handler(app, lifespan="off")

    def call() -> dict[str, Any]:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            result: dict[str, Any] = handler(payload, None)
            return result
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    return view_result(await asyncio.to_thread(call))


@asynccontextmanager
async def uvicorn(app: Callable[..., Any]) -> AsyncGenerator[int]:
    """uvicorn's h11 protocol on a port of its own."""
    config = Config(app, http="h11", lifespan="off", log_config=None, server_header=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: H11Protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop_listening(server)
        for connection in list(state.connections):
            connection.shutdown()
        while state.tasks:
            await asyncio.wait(state.tasks)


async def fetch(port: int, request: bytes, method: str) -> ResponseView:
    """Send raw bytes, read one response with h11."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    http.send(h11.EndOfMessage())
    status, headers, body, whole = 0, [], b"", True
    try:
        writer.write(request)
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = [(k.decode(), v.decode("latin-1")) for k, v in event.headers]
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                break
    except h11.RemoteProtocolError:
        whole = False
    finally:
        writer.close()
    return view(status, headers, [], body, whole=whole)
