"""What is asked of a file's thread, and how its callers are told of it."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


@dataclass(slots=True)
class Request:
    """Work, who waits for it since when, and what came of it."""

    work: Work[Any]
    future: "asyncio.Future[Any]"
    flushed: bool
    since: float
    result: Any = None
    error: BaseException | None = None


def deliver(done: list[Request]) -> None:
    """Tell those who asked, each in its own loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Request]] = {}
    for asked in done:
        by_loop.setdefault(asked.future.get_loop(), []).append(asked)
    for loop, theirs in by_loop.items():
        # A loop that is closed has no caller left.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(done: list[Request]) -> None:
    for asked in done:
        if asked.future.done():
            continue
        if asked.error is not None:
            asked.future.set_exception(asked.error)
        else:
            asked.future.set_result(asked.result)
