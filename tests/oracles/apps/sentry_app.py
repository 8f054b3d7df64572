"""Sentry's middleware around an application, and around its own idea of one."""

from collections.abc import AsyncIterator
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

sentry_sdk.init(dsn=None, default_integrations=False)


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Three frames; a failure in the middle of another stream."""
    assert scope["type"] == "http"
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for frame in frames():
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def frames() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"data: %d\n\n" % number


app = SentryAsgiMiddleware(plain)
