"""Talk to an ASGI app message by message: what a host sends it, and what it sends back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import anyio
from starlette.types import ASGIApp, Message, Scope

from tests.event_stream import EventStreamParser

HeaderLines = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(slots=True)
class Answer:
    """A response, as the host was given it."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks)

    def header(self, name: str) -> str | None:
        """The one header of that name, None if there is none. Two are a mistake."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} was sent {len(found)} times: {found}"
        return found[0] if found else None

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def events(self) -> list[dict[str, Any]]:
        """The events of the body, as a browser would dispatch them."""
        return [json.loads(event.data) for event in EventStreamParser().feed(self.body)]

    def take(self, message: Message) -> None:
        """Add one message of the app."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(key.decode(), value.decode()) for key, value in message["headers"]]
        elif message.get("body"):
            self.chunks.append(message["body"])


def scope_of(method: str, target: str, headers: HeaderLines) -> Scope:
    """The ASGI scope that uvicorn makes of a request."""
    path, _, query = target.partition("?")
    lines = list(headers.items() if isinstance(headers, Mapping) else headers)
    if not any(name.lower() == "host" for name, _ in lines):
        lines.insert(0, ("Host", "localhost:8888"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in lines],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8888),
    }


class Exchange:
    """One request in progress. `leave` hangs up; `message` waits for the app's next one."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.answer = Answer()
        self.sent: list[Message] = []
        self._chunks = list(chunks) or [b""]
        self._left = anyio.Event()
        self._messages: asyncio.Queue[Message] = asyncio.Queue()

    async def receive(self) -> Message:
        """What the app hears."""
        if self._chunks:
            body = self._chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._chunks)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """What the app says."""
        self.sent.append(message)
        self.answer.take(message)
        self._messages.put_nowait(message)

    async def message(self) -> Message:
        """The app's next message."""
        with anyio.fail_after(10):
            return await self._messages.get()

    async def frame(self) -> bytes:
        """The next bytes of the body."""
        while not (body := (await self.message()).get("body", b"")):
            pass
        return bytes(body)

    def leave(self) -> None:
        """Hang up."""
        self._left.set()


def post(data: Any, **headers: str) -> dict[str, Any]:
    """The arguments of `call` that POST `data` as JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "method": "POST",
        "headers": {"Content-Type": "application/json", **named},
        "body": [data if isinstance(data, bytes) else json.dumps(data).encode()],
    }


@asynccontextmanager
async def exchange(
    app: ASGIApp,
    target: str,
    *,
    method: str = "GET",
    headers: HeaderLines = (),
    body: Iterable[bytes] = (),
) -> AsyncIterator[Exchange]:
    """A request to `app` while the block lasts; at its end the client hangs up."""
    talk = Exchange(body)

    async def serve() -> None:
        await app(scope_of(method, target, headers), talk.receive, talk.send)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            yield talk
        finally:
            talk.leave()


async def call(
    app: ASGIApp,
    target: str = "/api/chat",
    *,
    method: str = "GET",
    headers: HeaderLines = (),
    body: Iterable[bytes] = (),
) -> Answer:
    """The whole answer of `app` to a request."""
    talk = Exchange(body)
    with anyio.fail_after(20):
        await app(scope_of(method, target, headers), talk.receive, talk.send)
    return talk.answer
