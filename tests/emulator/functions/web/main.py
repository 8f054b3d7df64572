"""An ASGI application without a framework that does what the query says."""

import asyncio
import json
import os
import signal
import sys
from typing import Any
from urllib.parse import parse_qsl

ending = asyncio.Event()


def say(text: str) -> None:
    """A line of the log, now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what came; or wait, write slowly, crash, see who leaves."""
    if scope["type"] != "http":
        return
    asked = dict(parse_qsl(scope["query_string"].decode()))
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    await asyncio.sleep(float(asked.get("wait", "0")))
    if "shout" in asked:
        say("a" * int(asked["shout"]))
    if "crash" in asked:
        os.kill(os.getpid(), signal.SIGKILL)
    if "deaf" not in asked:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    headers = [(b"content-type", b"text/plain"), (b"x-own", b"yes"), (b"keep-alive", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if "stream" in asked:
        await write_slowly(asked, receive, send)
        return
    seen = {
        "method": scope["method"],
        "path": scope["raw_path"].decode(),
        "headers": [[n.decode(), v.decode()] for n, v in scope["headers"]],
        "environment": dict(os.environ),
        "body": body.decode(),
        "pid": os.getpid(),
    }
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


async def write_slowly(asked: dict[str, str], receive: Any, send: Any) -> None:
    """A dot, then one each tenth of a second; until it is told to end, with a last word then."""
    left = asyncio.create_task(receive())
    count = int(asked["stream"])
    for _ in range(count):
        await send({"type": "http.response.body", "body": b".", "more_body": True})
        done, _ = await asyncio.wait(
            (left, asyncio.create_task(ending.wait())), timeout=0.1, return_when="FIRST_COMPLETED"
        )
        if left in done:
            say("heard that the client left")
            return
        if ending.is_set():
            await send({"type": "http.response.body", "body": b"last word"})
            return  # and is killed after its second: other streams have a last word too
    left.cancel()
    say("wrote to its end")
    await send({"type": "http.response.body", "body": b""})
