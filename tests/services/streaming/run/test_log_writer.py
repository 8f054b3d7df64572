"""Append, then show: nothing is seen that is not kept, and no reader is left waiting."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from services.errors import RiverrunError
from services.runs import Entry, ExpiredRunError, Run, RunLogError, SequenceConflictError, follow
from services.runs.memory import MemoryLog
from services.settings import Settings
from services.streaming.app import App
from services.streaming.event_json import payload
from services.streaming.events import Event, Final, Result, Status, Token
from services.streaming.question import ReaderTerms
from services.streaming.readers.session import prime, serve_reader
from services.streaming.run.log_writer import Entries, EntryBatches, append_to_log, release_lease
from services.streaming.run.transcript import Transcript
from tests.services.streaming.instant import instant

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

RUN = Run(id="run", owner=None, created=0.0, fingerprint="f")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


@pytest.fixture
def app() -> App:
    """An installation that serves one reader."""
    app = App(Settings())
    app.live.admit()
    return app


class FailingLog(MemoryLog):
    """A log that fails from its nth append on; 0: from the first."""

    def __init__(self, after: int, error: Exception | None = None) -> None:
        super().__init__()
        self.after = after
        self.error = error or OSError("disk full at /secret")

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Fail, or pass it on."""
        if self.after == 0:
            raise self.error
        self.after -= 1
        await super().append(run_id, entries)


async def batches(*given: list[Event], closed: list[bool] | None = None) -> Any:
    """The stages before, with these batches."""
    try:
        for batch in given:
            yield batch
    finally:
        if closed is not None:
            closed.append(True)


async def begin(log: MemoryLog) -> tuple[Run, Transcript]:
    """A new run and its transcript."""
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    return run, Transcript(run_id=run.id, started=0.0)


FINAL = Final(Result(answer="ab"))


async def flat(recorded: EntryBatches) -> Entries:
    """Entry by entry what was recorded batch by batch."""
    async with aclosing(recorded):
        async for batch in recorded:
            for entry in batch:
                yield entry


async def test_an_entry_is_in_the_log_before_anybody_sees_it() -> None:
    """Each of them, at the moment it is shown."""
    log = MemoryLog()
    run, transcript = await begin(log)
    said = batches([Token("a"), Token("b")], [], [FINAL])
    async with aclosing(flat(append_to_log(said, run, log, transcript))) as entries:
        shown = []
        async for entry in entries:
            kept = await log.read(run.id, 0)
            if entry is not None:
                assert entry in kept
            shown.append(entry)
    assert [entry and entry.seq for entry in shown] == [1, 2, 3]
    assert [entry for entry in shown if entry] == await log.read(run.id, 0)
    assert shown[-1] == Entry(3, "final", payload(FINAL), terminal=True)


@pytest.mark.parametrize("leave_after", range(1, 4))
async def test_a_reader_who_leaves_ends_the_run_in_the_log(leave_after: int) -> None:
    """At any event; its readers are told, and what was said is kept."""
    log, closed = MemoryLog(), list[bool]()
    run, transcript = await begin(log)

    async def produce() -> AsyncGenerator[list[Event], None]:
        working = Status(step=1, description="d", status="executing", timestamp=1)
        async with aclosing(batches([working], [Token("a")], [Token("b")], closed=closed)) as given:
            async for batch in given:
                for event in batch:
                    transcript.note(event)
                yield batch
            await asyncio.sleep(1e6)

    async with aclosing(flat(append_to_log(produce(), run, log, transcript, now=lambda: 7.0))) as e:
        for _ in range(leave_after):
            await anext(e)
    kept = await log.read(run.id, 0)
    assert [entry.seq for entry in kept] == list(range(1, len(kept) + 1))
    assert (kept[-1].kind, kept[-1].terminal) == ("error", True)
    assert b'"code":"cancelled"' in kept[-1].payload
    assert closed == [True]
    assert kept[-2].payload.count(b'"failed"') == 1
    assert b'"timestamp":7000' in kept[-2].payload


async def readers_view(entries: Entries, app: App) -> list[Entry | None]:
    """What one reader gets."""
    async with aclosing(await prime(serve_reader(entries, app, RUN, ReaderTerms()))) as shown:
        return [entry async for entry in shown]


@pytest.mark.parametrize("after", range(3))
async def test_a_log_that_fails_ends_the_stream_with_an_error_that_has_no_place(
    after: int, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """What was not kept is not shown; the reader is told, and the producer closed."""
    log, closed = FailingLog(after), list[bool]()
    run, transcript = await begin(log)
    said = batches([Token("a")], [Token("b")], [FINAL], closed=closed)
    entries = flat(append_to_log(said, run, log, transcript))
    *shown, last = await readers_view(entries, app)
    assert shown == await log.read(run.id, 0)
    assert last is not None
    assert (last.seq, last.kind, last.terminal) == (0, "error", True)
    assert b'"code":"internal"' in last.payload
    assert b"secret" not in last.payload
    assert "disk full at /secret" in caplog.text
    assert (closed, app.live.streams) == ([True], 0)
    caplog.clear()


async def test_a_log_that_fails_once_is_ended_with_that_error(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """Other readers of the run are told as well, as soon as the log can be written again."""

    class Flaky(FailingLog):
        async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
            try:
                await super().append(run_id, entries)
            except OSError:
                self.after = 9
                raise

    log = Flaky(1)
    run, transcript = await begin(log)
    said = batches([Token("a")], [Token("b")])
    await readers_view(flat(append_to_log(said, run, log, transcript)), app)
    assert [entry.kind for entry in await log.read(run.id, 0)] == ["token", "error"]
    caplog.clear()


async def test_a_run_that_is_dropped_under_its_reader_is_told_as_such(app: App) -> None:
    """A typed error of the log keeps its code."""
    log = MemoryLog()
    run, _ = await begin(log)
    await log.append(run.id, [Entry(1, "token", b'{"type":"token","text":"a"}')])

    async def drop() -> Entries:
        async with aclosing(follow(log, run.id)) as entries:
            yield await anext(entries)
        raise ExpiredRunError

    first, last = await readers_view(drop(), app)
    assert first is not None
    assert last is not None
    assert (first.seq, last.seq, last.terminal) == (1, 0, True)
    assert b'"code":"expired"' in last.payload
    assert app.live.streams == 0


async def test_nothing_follows_a_terminal_entry(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """A failure on the way out is for the log."""

    async def clumsy() -> Entries:
        yield Entry(1, "final", payload(FINAL), terminal=True)
        raise RiverrunError("late")

    assert [entry and entry.seq for entry in await readers_view(clumsy(), app)] == [1]
    caplog.clear()


async def test_a_reader_is_counted_out_though_it_never_read(app: App) -> None:
    """A response may be dropped before its first byte."""
    log = MemoryLog()
    run, transcript = await begin(log)
    inner = flat(append_to_log(batches([FINAL]), run, log, transcript))
    entries = await prime(serve_reader(inner, app, run, ReaderTerms()))
    assert (app.live.streams, list(app.live.readers)) == (1, [run.id])
    await entries.aclose()
    assert (app.live.streams, app.live.readers) == (0, {})


async def test_neighbouring_tokens_become_one_entry_where_asked() -> None:
    """A store that must reach a disk is asked tens of times an answer, not once a token."""
    log = MemoryLog()
    run, transcript = await begin(log)
    told = Status(step=1, description="d", status="executing", timestamp=1)
    said = batches([Token("a"), Token("b"), told, Token("c")], [Token("d"), FINAL])
    recorded = flat(append_to_log(said, run, log, transcript, join=lambda: True))
    async with aclosing(recorded) as entries:
        kinds = [entry.kind async for entry in entries if entry is not None]
    assert kinds == ["token", "status", "token", "token", "final"]
    assert (await log.read(run.id, 0))[0].payload == payload(Token("ab"))


async def test_the_process_that_writes_an_entry_first_decides() -> None:
    """A run that was ended from elsewhere is left alone, at the next event or in silence."""
    cases: list[list[Event]] = [[], [Token("b")]]
    for quiet in cases:
        log, closed = MemoryLog(), list[bool]()
        run, transcript = await begin(log)
        recorded = append_to_log(batches([Token("a")], quiet, closed=closed), run, log, transcript)
        async with aclosing(recorded):
            await anext(recorded)
            ending = Entry(2, "final", payload(FINAL), terminal=True)
            await log.append(run.id, [ending])
            with pytest.raises(SequenceConflictError):
                await anext(recorded)
        assert closed == [True]
        assert (await log.read(run.id, 1)) == [ending]


async def test_a_cancelled_reader_still_ends_its_run() -> None:
    """The last entry is written though the reader's task is being ended."""
    log = MemoryLog()
    run, transcript = await begin(log)

    async def produce() -> Any:
        yield [Token("a")]
        await asyncio.sleep(1e6)

    async def read() -> None:
        async with aclosing(flat(append_to_log(produce(), run, log, transcript))) as entries:
            async for _ in entries:
                pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(1)
    reader.cancel()
    await asyncio.wait({reader})
    assert [entry.kind for entry in await log.read(run.id, 0)] == ["token", "error"]


async def test_what_is_recorded_is_not_held_as_events_too() -> None:
    """The list that came is empty by the time its entries are shown."""
    log = MemoryLog()
    run, transcript = await begin(log)
    came: list[Event] = [Token("a"), FINAL]
    async with aclosing(append_to_log(batches(came), run, log, transcript)) as recorded:
        assert [entry.kind for entry in await anext(recorded)] == ["token", "final"]
        assert came == []


async def test_a_release_that_fails_once_is_tried_again() -> None:
    """So that the run of a process that ends can be claimed at once."""
    log = MemoryLog(is_durable=True)
    run, _ = await begin(log)
    release, tried = log.release, []

    async def fail_once(*asked: Any, **more: Any) -> None:
        tried.append(asked)
        if len(tried) == 1:
            raise RunLogError("busy")
        await release(*asked, **more)

    log.release = fail_once  # type: ignore[method-assign]
    await release_lease(run, log, b"{}")
    assert len(tried) == 2
    assert (await log.find(run.id, None)).is_free


async def test_a_release_that_always_fails_is_told_and_left_for_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a few tries, in one line; nothing is raised."""
    log = MemoryLog(is_durable=True)
    run, _ = await begin(log)
    release, is_busy = log.release, True

    async def release_unless_busy(*asked: Any, **more: Any) -> None:
        if is_busy:
            raise RunLogError("busy")
        await release(*asked, **more)

    log.release = release_unless_busy  # type: ignore[method-assign]
    later: list[Callable[[], Awaitable[None]]] = []
    await release_lease(run, log, b"{}", later.append)
    (record,) = caplog.records
    assert record.message == f"Run {run.id} could not be released or ended: its log is busy."
    assert record.exc_info is None
    assert not (await log.find(run.id, None)).is_free
    is_busy = False
    (settle,) = later
    await settle()
    assert (await log.find(run.id, None)).is_free
