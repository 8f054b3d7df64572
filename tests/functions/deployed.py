"""The functions in one process, with a provider that keeps a list of its calls.

    python -m tests.functions.deployed

is `python -m functions`: the product from the command to the store; only who answers, what is
found and how long everything waits are of the tests.
`DEPLOYED` is a JSON object: `calls` (a file), `lease`, `busy` (how long SQLite waits for a lock),
`line` (the share of the store's calls that go wrong, and a seed), `broken` (a promise that is to be
broken: `PROMISES`), `send_buffer` (the bytes that the kernel holds for one reader).
What a reader is told as a 500 or a 503 goes to stderr, with its cause.
"""

import asyncio
import json
import os
import random
import re
import socket
import sys
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from starlette.responses import Response

from functions import __main__ as command
from services.chat import Piece, Prompt, Stop, Text
from services.errors import RiverrunError
from services.passages import Passage
from services.progress import Report, no_report
from services.runs import Entry, Run, RunLog, SequenceConflictError
from services.runs.sqlite import log as sqlite_log
from services.runs.sqlite import rows as sqlite_rows
from services.runs.sqlite.log import SQLiteLog
from services.settings import read_settings
from services.streaming import App, handlers, set_default_app
from services.streaming.http.responses import STATUS_OF_CODE, error_response
from services.streaming.readers import session, tail
from services.streaming.run import log_writer, start
from services.streaming.run.errors import PausedError
from tests.functions.bad_store import spoil_store
from tests.functions.incidents import journal_of, note_delays

_ASKED = re.compile(r"(?P<name>\S+) says (?P<words>\d+) words, (?P<pause>\d+) ms apart")


@dataclass
class CountedWords:
    """Says `w0 w1 …` of the question's name, as many words as it asks for."""

    calls: Path

    @property
    def model(self) -> str:
        """The name of no model."""
        return "counted"

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - a provider takes it
    ) -> AsyncGenerator[Piece, None]:
        """Note the call, then go on from what was said."""
        asked = _ASKED.fullmatch(prompt.question)
        assert asked is not None, prompt.question
        with self.calls.open("ab", buffering=0) as file:
            call = f"{asked['name']} {os.getpid()} {len(prompt.so_far)} {time.monotonic()}\n"
            file.write(call.encode())
        said = ""
        for number in range(int(asked["words"])):
            # As wide as a token that is joined to no other, so that a word is an event.
            said += (word := word_of(asked["name"], number))
            if len(said) <= len(prompt.so_far):
                continue
            if asked["pause"] != "0":
                await asyncio.sleep(int(asked["pause"]) / 1000)
            yield Text(word)
        yield Stop("stop")


def word_of(name: str, number: int) -> str:
    """The word of that number in the answer to `name`."""
    return f"{name}.{number} ".ljust(60, "·")


class Nothing:
    """A context in which one thing is found, at once."""

    async def prepare(self) -> None:
        """Nothing to do."""

    async def retrieve(self, question: str, *_any: object, **_more: object) -> tuple[Passage, ...]:
        """The one thing."""
        return (
            Passage(
                id="a#1",
                title="A",
                uri="a.md",
                text=question,
                score=0.5,
                coverage=1.0,
                sentences=(),
            ),
        )


def impatient(log: RunLog, lease: float) -> None:
    """Let leases be short, and those who wait for their end look often."""
    for method in (type(log).start, type(log).claim, type(log).renew):
        assert method.__kwdefaults__ is not None
        method.__kwdefaults__["lease"] = lease
    changed = {
        "LEASE_SECONDS": ((log_writer, tail), lease),
        "PRODUCER_CHECK_INTERVAL": ((tail,), lease / 8),
        "LOG_CHECK_INTERVAL": ((start,), lease / 8),
    }
    for name, (modules, value) in changed.items():
        for module in modules:
            put_into(module, name, value)


def put_into(module: ModuleType, name: str, value: object) -> None:
    """Put another in place of what is there; a name that has moved is found out."""
    assert hasattr(module, name), f"{module.__name__} has no {name}"
    setattr(module, name, value)


def outspoken() -> None:
    """Write to stderr what a reader is told as a status of 500 and more, and why."""

    def report_error(error: RiverrunError, **more: Any) -> Response:
        if STATUS_OF_CODE.get(error.code, 500) >= 500:
            print(f"\n{time.time():.2f} {os.getpid()}: {error.code}", file=sys.stderr)  # noqa: T201 - for who looks into a seed
            traceback.print_exception(error, limit=-6)
        return error_response(error, **more)

    put_into(handlers, "error_response", report_error)


def shrink_buffers(size: int) -> None:
    """Let the kernel take no more than about `size` bytes for a reader that reads nothing."""
    listen = socket.socket.listen

    def listen_small(self: socket.socket, backlog: int = 128) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)  # what it accepts inherits it
        listen(self, backlog)

    socket.socket.listen = listen_small  # type: ignore[method-assign, assignment]


def loses(log: RunLog) -> None:
    """P1: a reader who is behind misses an entry."""
    read = log.read

    async def lossy(run_id: str, after: int, limit: int = 256) -> list[Entry]:
        entries = await read(run_id, after, limit)
        return [*entries[:1], *entries[2:]] if len(entries) > 2 else entries

    log.__dict__["read"] = lossy


def shows_early(log: RunLog) -> None:
    """P2: what is shown is kept only a little later, if its process still lives then."""
    append, kept = log.append, asyncio.Lock()
    tasks: set[asyncio.Task[None]] = set()

    async def keep(run_id: str, entries: Sequence[Entry]) -> None:
        await asyncio.sleep(0.1)
        async with kept:
            await append(run_id, entries)

    async def early(run_id: str, entries: Sequence[Entry]) -> None:
        tasks.add(task := asyncio.create_task(keep(run_id, entries)))
        task.add_done_callback(tasks.discard)

    log.__dict__["append"] = early


def writes_on(log: RunLog) -> None:
    """P3: a producer that finds its number taken takes the next, also behind the end."""
    append = log.append

    def never_ended(*asked: Any) -> tuple[int, int, bool]:
        return *sqlite_rows.state_of(*asked)[:2], False

    put_into(sqlite_log, "state_of", never_ended)

    async def stubborn(run_id: str, entries: Sequence[Entry]) -> None:
        try:
            await append(run_id, entries)
        except SequenceConflictError:
            last = await log.read_last(run_id)
            seq = last.seq if last is not None else 0
            await append(run_id, [one._replace(seq=seq + n) for n, one in enumerate(entries, 1)])

    log.__dict__["append"] = stubborn


def pays_again(log: RunLog) -> None:
    """P4: a client that repeats a key begins anew."""
    start = log.start

    async def forgetful(**asked: Any) -> tuple[Run, bool]:
        return await start(**{**asked, "key": None})

    log.__dict__["start"] = forgetful


def says_nothing(_log: RunLog) -> None:
    """P5: a process that is given notice cuts its readers off."""
    disconnect, come_back = session._make_read_on_entry, session._make_paused_entry

    async def cut(pause: PausedError, *asked: Any, **more: Any) -> Entry:
        if pause.reason == "shutdown":
            raise ConnectionAbortedError
        return await disconnect(pause, *asked, **more)

    def cut_too(pause: PausedError, *asked: Any, **more: Any) -> Entry:
        if pause.reason == "shutdown":
            raise ConnectionAbortedError
        return come_back(pause, *asked, **more)

    put_into(session, "_make_read_on_entry", cut)
    put_into(session, "_make_paused_entry", cut_too)


def holds_on(log: RunLog) -> None:
    """P6: a process that is given notice releases no lease."""

    async def release(*_asked: Any, **_more: Any) -> None:
        pass

    log.__dict__["release"] = release


def takes_what_lives(log: RunLog) -> None:
    """P7: a reader takes a run from a producer that lives."""

    async def end_any_lease(
        _log: RunLog,
        run: Run,
        _last: int,
        *,
        lease: float = 0.0,
    ) -> bool:
        if run.is_free or random.random() > 0.5:
            return run.is_free
        with suppress(SequenceConflictError):
            await log.doubt(run)
            doubted = await log.find(run.id, run.owner)
            await log.expire(doubted)
            return True
        return False

    put_into(tail, "end_dead_lease", end_any_lease)


PROMISES: dict[str, Callable[[RunLog], None]] = {
    "P1": loses,
    "P2": shows_early,
    "P3": writes_on,
    "P4": pays_again,
    "P5": says_nothing,
    "P6": holds_on,
    "P7": takes_what_lives,
}


def prepare() -> None:
    """Put the tests' parts into this process, as `DEPLOYED` says."""
    options: dict[str, Any] = json.loads(os.environ["DEPLOYED"])
    counted = CountedWords(Path(options["calls"]))
    app = App(read_settings(os.environ), chat=counted, context=Nothing())
    set_default_app(app)
    kept_waiting = SQLiteLog.__init__.__kwdefaults__
    assert kept_waiting is not None
    kept_waiting["busy"] = options.get("busy", kept_waiting["busy"])
    outspoken()
    if "send_buffer" in options:
        shrink_buffers(options["send_buffer"])
    impatient(app.log, options.get("lease", 1.0))
    if options.get("broken"):
        PROMISES[options["broken"]](app.log)
    if "line" in options:
        spoil_store(app.log, *options["line"])
    lease = options.get("lease", 1.0)
    note_delays(app.log, journal_of(counted.calls), os.getpid(), lease / 8)


if __name__ == "__main__":
    prepare()
    sys.exit(command.main())
