"""What AWS does not say of Web Functions, asked of AWS itself: docs/web-functions.md has the list.

Nothing of Riverrun is in it. It writes what it sees to its log, one JSON object a line.

    /            the request as it arrived, the names of the environment's variables
    /dots        a dot a second, for ?seconds=; what `receive()` says meanwhile is in the log
    POST /       how many bytes of the body came
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any
from urllib.parse import parse_qs

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

BEGAN = time.monotonic()


def say(what: str, **more: object) -> None:
    """Write a line to the log."""
    at = round(time.monotonic() - BEGAN, 2)
    line = json.dumps({"probe": what, "at": at, "pid": os.getpid(), **more}, default=str)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Answer one request, or hear of the lifespan."""
    hear_sigterm()  # by now the server has set its own handler
    if scope["type"] == "lifespan":
        await hear_lifespan(receive, send)
    elif scope["path"] == "/dots":
        await send_dots(scope, receive, send)
    else:
        await describe_request(scope, receive, send)


async def hear_lifespan(receive: Receive, send: Send) -> None:
    """Say which events come; a server that sends none is told by the silence."""
    while True:
        kind = (await receive())["type"]
        say(kind)
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def describe_request(scope: Event, receive: Receive, send: Send) -> None:
    """Return what arrived, and how many bytes of a body."""
    size, more = 0, True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        size += len(event.get("body", b""))
    seen = {name: value for name, value in scope.items() if name not in ("state", "app")}
    names = sorted(os.environ)  # no value: some are secret
    document = {"scope": seen, "bytes": size, "python": sys.version, "environment": names}
    body = json.dumps(document, default=str, indent=1).encode()
    say("request", path=scope["path"], bytes=size)
    await send(start("application/json"))
    await send({"type": "http.response.body", "body": body})


async def send_dots(scope: Event, receive: Receive, send: Send) -> None:
    """Stream slowly, and listen: is a client that left, or the platform's cut, told of?"""
    asked = parse_qs(scope["query_string"].decode()).get("seconds", ["40"])
    number, began = f"{scope.get('client')}", time.monotonic()

    async def listen() -> None:
        while (event := await receive())["type"] != "http.disconnect":
            pass
        say("told", event=event["type"], client=number, after=round(time.monotonic() - began, 2))

    listening = asyncio.create_task(listen())
    sent = 0
    try:
        await send(start("text/event-stream"))
        while sent < int(asked[0]):
            await send({"type": "http.response.body", "body": b": .\n", "more_body": True})
            sent += 1
            await asyncio.sleep(1)
        await send({"type": "http.response.body", "body": b"data: whole\n\n"})
    except BaseException as error:
        say("cut", error=repr(error), client=number, sent=sent)
        raise
    finally:
        say("dots", client=number, sent=sent, after=round(time.monotonic() - began, 2))
        listening.cancel()


def start(kind: str) -> Event:
    """The head of a response."""
    headers = [(b"content-type", kind.encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def hear_sigterm() -> None:
    """Say that it came, then every 50 ms how long the process lives on; the server hears it too."""
    before = signal.getsignal(signal.SIGTERM)
    if getattr(before, "__name__", "") == "on_sigterm":
        return

    def live_on() -> None:
        heard = time.monotonic()
        while (after := time.monotonic() - heard) < 3:
            say("alive", after=round(after, 2))
            time.sleep(0.05)
        os._exit(0)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        say("SIGTERM", handler=repr(before))
        threading.Thread(target=live_on, daemon=True).start()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, on_sigterm)


say(
    "loaded",
    python=sys.version,
    arguments=sys.argv,
    modules=sorted({name for name in sys.modules if "." not in name}),
)
