"""A process is told to end: the server's own handler is called too, and streams end first."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.settings import ROOT
from services.streaming.http.notice import SIGNALS, ShutdownNotice

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _keep_handler() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


async def answer_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that waits for one message."""
    await receive()


async def receive(kind: str = "http.request") -> Message:
    """A message of a server."""
    return {"type": kind}


async def send(_message: Message) -> None:
    """A server that takes what it is sent."""


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_servers_own_handler_is_called_after_ours(number: signal.Signals) -> None:
    """And once, however many requests came."""
    heard: list[Any] = []
    ended = asyncio.Event()
    signal.signal(number, lambda number, _frame: heard.append(number))
    app = ShutdownNotice(answer_nothing, ended.set)
    for _ in range(3):
        await app({"type": "http"}, receive, send)
    os.kill(os.getpid(), number)
    await ended.wait()
    assert heard == [number]


async def test_a_handler_that_asyncio_keeps_is_woken_too() -> None:
    """As hypercorn's and gunicorn's are."""
    loop = asyncio.get_running_loop()
    theirs, ours = asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, theirs.set)
    try:
        await ShutdownNotice(answer_nothing, ours.set)({"type": "http"}, receive, send)
        os.kill(os.getpid(), signal.SIGTERM)
        await ours.wait()
        await theirs.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_a_handler_that_was_set_after_the_startup_is_found_at_the_first_request() -> None:
    """And one that calls what it found calls us no second time."""
    heard: list[str] = []
    ended = asyncio.Event()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    app = ShutdownNotice(answer_nothing, ended.set)
    await app({"type": "lifespan"}, receive, send)
    ours = signal.getsignal(signal.SIGTERM)

    def theirs(number: int, frame: Any) -> None:
        heard.append("theirs")
        assert callable(ours)
        ours(number, frame)

    signal.signal(signal.SIGTERM, theirs)
    await app({"type": "http"}, receive, send)
    os.kill(os.getpid(), signal.SIGTERM)
    await ended.wait()
    assert heard == ["theirs"]


async def test_the_end_of_the_lifespan_is_a_notice() -> None:
    """A server may end by other means than a signal."""
    ended: list[str] = []
    app = ShutdownNotice(answer_nothing, lambda: ended.append("ours"))
    await app({"type": "lifespan"}, lambda: receive("lifespan.shutdown"), send)
    assert ended == ["ours"]


def test_a_process_without_a_handler_still_dies_of_the_signal() -> None:
    """Once the streams have had their time."""
    code = """
import asyncio, os, signal
from services.streaming.http.notice import SIGNALS, ShutdownNotice
async def app(scope, receive, send): pass
async def main():
    await ShutdownNotice(app, lambda: print("ended", flush=True))({"type": "http"}, None, None)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "ended\n")
