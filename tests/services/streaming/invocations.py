"""Processes that share a log, a provider of one word a second, and a reader who comes back."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from services.chat import ModelUsage, Piece, Prompt, Stop, Text
from services.passages import Passage
from services.progress import Report, no_report
from services.runs.memory import MemoryLog
from services.settings import Settings
from services.streaming import (
    App,
    Cursor,
    Question,
    ReaderTerms,
    handle_resume,
    handle_streaming_request,
)
from tests.event_stream import EventStreamParser

WORDS = [f"{number} " for number in range(20)]
WHOLE = "".join(WORDS)


@dataclass
class Words:
    """A provider that says a word a second (`pace`), and remembers what it was asked."""

    words: list[str] = field(default_factory=lambda: list(WORDS))
    asked: list[Prompt] = field(default_factory=list)
    open: int = 0
    stubborn: float = 0.0
    pace: float = 1.0
    model: str = "words"

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - a provider takes it
    ) -> AsyncGenerator[Piece, None]:
        """What is left of the words."""
        self.asked.append(prompt)
        self.open += 1
        try:
            said = 0
            for word in self.words:
                said += len(word)
                if said > len(prompt.so_far):
                    await asyncio.sleep(self.pace)
                    yield Text(word)
            yield ModelUsage(input_tokens=5, output_tokens=len(self.words), cost_usd=0.5)
            yield Stop("stop")
        finally:
            self.open -= 1
            if self.stubborn:
                await _stubbornly(self.stubborn)


async def _stubbornly(seconds: float) -> None:
    until = asyncio.get_running_loop().time() + seconds
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


def passage(name: str) -> Passage:
    return Passage(
        id=name, title=name, uri=f"{name}.md", text=f"About {name}.", score=0.5, coverage=0.5,
        sentences=(),
    )  # fmt: skip


@dataclass
class Documents:
    """A library whose passages come in another order, or are gone, the next time."""

    passages: tuple[Passage, ...] = (passage("a"), passage("b"))

    async def retrieve(self, *_: Any, **__: Any) -> tuple[Passage, ...]:
        """What there is now."""
        return self.passages


def make_app(log: MemoryLog, chat: Words, **settings: Any) -> App:
    """A process whose log other processes share, as far as it knows."""
    return App(Settings(**settings), log=log, chat=chat, context=Documents())


Told = list[tuple[str, dict[str, Any]]]


async def events_of(response: Any) -> Told:
    """The events of a body with their ids; "" for one without."""
    parser, found = EventStreamParser(), []
    async with aclosing(response.body_iterator) as chunks:
        async for chunk in chunks:
            has_id = b"\nid: " in b"\n" + chunk
            found += [(e.id if has_id else "", json.loads(e.data)) for e in parser.feed(chunk)]
    return found


async def ask(app: App, resume: bool = True, left: float = 8.0, **more: Any) -> Told:
    question = Question(query="go", resume=resume, seconds_left=left, **more)
    return await events_of(await handle_streaming_request(question, app=app))


async def resume(
    app: App, run: str, after: int, resume: bool = True, left: float = 8.0, **more: Any
) -> Told:
    reader = ReaderTerms(resume=resume, seconds_left=left)
    response = await handle_resume(Cursor(run, after), reader=reader, app=app, **more)
    return await events_of(response) if response.status_code == 200 else []


def ids(events: Told) -> list[str]:
    """Their ids."""
    return [one for one, _ in events]


def place(events: Told) -> tuple[str, int]:
    """The run and the last number of a body that ends with `paused` or an error with a cursor."""
    run, _, seq = events[-1][1]["cursor"].rpartition("-")
    return run, int(seq)


async def kinds(log: MemoryLog, run: str) -> list[str]:
    return [entry.kind for entry in await log.read(run, 0)]


async def to_the_end(app: App, events: Told, **more: Any) -> Told:
    """What a reader who obeys `paused` has at the end."""
    got = events
    for _ in range(20):
        if got[-1][1]["type"] != "paused":
            return got
        got = got[:-1] + await resume(app, *place(got), **more)
    raise AssertionError("it never ends")
