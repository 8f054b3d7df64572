"""Give a reader the entries of a run: of a new one, or of one that exists.

The one place where reading and producing meet. Knows nothing of requests and responses.
"""

import logging
import secrets
from dataclasses import dataclass, replace

import anyio

from ...errors import RiverrunError
from ...limits import Ticket
from ...runs import Run
from ..answering.producer import Producer, open_producer, producer_name
from ..app import App
from ..deadlines import TAKE_OVER_SECONDS
from ..question import (
    Question,
    ReaderTerms,
    can_be_guessed,
    dump_question,
    start_clock,
    take_off_elapsed,
)
from ..run.log_writer import Entries
from ..run.meter import RunMeter
from ..run.resume import hand_back_run, is_producer_of, take_over_run
from ..run.stages import Observer
from ..run.start import start_run_task
from .admission import estimate_run, when_ended
from .presence import on_last_reader_left
from .session import prime, serve_reader
from .tail import ResumeHere, read_run

logger = logging.getLogger("riverrun.run")


@dataclass(frozen=True, slots=True)
class ProducerSpec:
    """What answers a question: `producer`, else the pipeline, watched by `observers`.

    A `resumable` producer says only what comes after `question.so_far`, so that another process
    can go on with its run.
    """

    producer: Producer | None = None
    resumable: bool = False
    observers: tuple[Observer, ...] = ()

    @property
    def name(self) -> str | None:
        """The name by which a run knows what can go on with it; None where no producer can."""
        return producer_name(self.producer, resumable=self.resumable)


async def start_run(
    question: Question, reader: ReaderTerms, spec: ProducerSpec, app: App, *, fingerprint: str
) -> tuple[Run, Entries]:
    """Start a run that answers `question`, or join the one of its idempotency key.

    Returns the run, and its entries for `reader`. Raises `RiverrunError` when the reader cannot
    be admitted or the log does not do it, `TypeError` for what is no producer.
    """
    question, reader = start_clock(question), start_clock(reader)
    question = await _name_session(question, app)
    output = open_producer(spec.producer, question, app)
    app.live.admit(starts_run=True)
    ticket = None
    try:
        ticket = await app.limiter.reserve(question.principal, estimate_run(question, app.settings))
        run, is_new = await app.log.start(
            owner=question.owner,
            key=_scope_key(question),
            fingerprint=fingerprint,
            question=dump_question(question, spec.name),
            session=question.session_id,
        )
        if not is_new:
            await app.limiter.refund(ticket)
    except BaseException:
        app.live.release()
        with anyio.CancelScope(shield=True):
            await _refund(ticket, app)
        raise
    if not is_new:
        await output.aclose()
        # A client that repeats its request wants the answer, so a run without a producer goes on.
        return await _read_existing(run, 0, reader, spec, app, may_resume=True)
    question = take_off_elapsed(question)
    can_pause = app.log.is_durable and spec.name is not None
    meter = RunMeter(question, traceparent=question.traceparent)
    start_run_task(
        run,
        question,
        output,
        app.log,
        app.live,
        observers=(meter, *spec.observers),
        can_pause=can_pause,
        join_tokens=_joins_tokens(app),
        on_end=when_ended(app, meter, ticket),
    )
    return run, await _serve(
        run,
        0,
        reader,
        app,
        is_told_paused=reader.resume and can_pause,
        resume_here=_make_resume_here(run, reader, spec, app) if can_pause else None,
    )


async def join_run(
    run: Run, after: int, reader: ReaderTerms, spec: ProducerSpec, app: App, *, may_resume: bool
) -> tuple[Run, Entries]:
    """Return `run`, and its entries after `after` for `reader`.

    A reader that `may_resume` makes a run go on here that has no producer, if `spec` can. No other
    reader ever has a provider called. Raises `RiverrunError` when the reader cannot be admitted.
    """
    reader = start_clock(reader)
    app.live.admit()
    return await _read_existing(run, after, reader, spec, app, may_resume=may_resume)


async def _read_existing(
    run: Run,
    after: int,
    reader: ReaderTerms,
    spec: ProducerSpec,
    app: App,
    *,
    may_resume: bool,
) -> tuple[Run, Entries]:
    """Read a run for a reader that was admitted, and release that reader when it fails.

    Where the run `can_pause`, a reader that `may_resume` has it go on here, and one with `resume`
    `is_told_paused` and comes back.
    """
    can_pause = app.log.is_durable and is_producer_of(run, spec.name)
    is_told_paused = reader.resume and can_pause
    resume_here = None
    try:
        if may_resume and can_pause:
            resume_here = _make_resume_here(run, reader, spec, app)
            await resume_here()
    except BaseException:
        app.live.release()
        raise
    return run, await _serve(
        run, after, reader, app, is_told_paused=is_told_paused, resume_here=resume_here
    )


def _make_resume_here(run: Run, reader: ReaderTerms, spec: ProducerSpec, app: App) -> ResumeHere:
    """Make what takes the run over the moment it has no producer, while its reader has time.

    Of a reader that came with little more than that, or less, most of its time is asked: its next
    request may have no more, and a run that is never taken over never ends.
    """
    whole = reader.seconds_left
    needed = 0.0 if whole is None else min(TAKE_OVER_SECONDS, 0.75 * whole)

    async def resume_here() -> bool:
        reader_now = take_off_elapsed(reader)
        if reader_now.seconds_left is not None and reader_now.seconds_left < needed:
            return False
        if app.live.is_closing:
            return False
        await app.live.finish_take_over(_resume_run(run, reader_now, spec, app))
        return True

    return resume_here


async def _resume_run(run: Run, reader: ReaderTerms, spec: ProducerSpec, app: App) -> None:
    max_seconds = app.settings.max_run_seconds
    resumed = await take_over_run(run, app.log, app.live, reader, max_seconds=max_seconds)
    if resumed is None:
        return  # another process produces it, or it is over: it is only read
    try:
        ticket = await app.limiter.reserve_resumed(
            resumed.question.owner or resumed.question.principal,
            estimate_run(resumed.question, app.settings),
        )
        question = take_off_elapsed(resumed.question)
        output = open_producer(spec.producer, question, app)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await hand_back_run(resumed.run, app.log, app.live)
        raise
    meter = RunMeter(question, usage=resumed.transcript.usage, resumed=True)
    start_run_task(
        resumed.run,
        question,
        output,
        app.log,
        app.live,
        observers=(meter, *spec.observers),
        can_pause=True,
        join_tokens=_joins_tokens(app),
        transcript=resumed.transcript,
        after=resumed.after,
        on_end=when_ended(app, meter, ticket),
    )
    if run.id not in app.live.readers:
        # The reader that asked for it has left meanwhile, and was not the last of a run here.
        await on_last_reader_left(app, run.id, will_return=True, is_over=False)


async def _serve(
    run: Run,
    after: int,
    reader: ReaderTerms,
    app: App,
    *,
    is_told_paused: bool,
    resume_here: ResumeHere | None,
) -> Entries:
    entries = await prime(
        read_run(
            run,
            after,
            app.log,
            app.live,
            heartbeat=app.settings.heartbeat,
            is_told_paused=is_told_paused,
            resume_here=resume_here,
        )
    )
    reader = take_off_elapsed(reader)
    return await prime(
        serve_reader(entries, app, run, reader, after, is_told_paused=is_told_paused)
    )


def _scope_key(question: Question) -> str | None:
    """Part the keys of strangers: without an owner, one that can be guessed is its address's."""
    key = question.idempotency_key
    if key is None or question.owner is not None or question.principal == "open":
        return key
    if not can_be_guessed(key):
        return key
    return f"{question.principal} {key}"


async def _name_session(question: Question, app: App) -> Question:
    """Name a new session: signed where it has no owner, so that only its name opens it."""
    if question.session_id != "":
        return question
    if question.owner is not None:
        return replace(question, session_id=secrets.token_urlsafe(16))
    return replace(question, session_id=await app.access.name_session())


async def _refund(ticket: Ticket | None, app: App) -> None:
    try:
        await app.limiter.refund(ticket)
    except RiverrunError:
        logger.warning("A place that was not used could not be given back.")


def _joins_tokens(app: App) -> bool | None:
    if app.settings.replay is not None:
        return False  # they were joined when it was recorded: replayed, they are the same events
    return True if app.log.is_durable else None
