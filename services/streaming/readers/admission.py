"""Take a place for a run, and when it has ended, give the place back and say what happened."""

import logging
from collections.abc import Awaitable, Callable

import anyio

from ...errors import RiverrunError
from ...limits import Estimate, Ticket
from ...pauses import note_answer
from ...settings import Settings
from ..app import App
from ..question import Question
from ..run.meter import RunMeter
from ..run.task import RunTask

logger = logging.getLogger("riverrun.run")

# How long the end of a run may take over counting, in seconds: a function is frozen after it.
SETTLE_SECONDS = 1.0

# What a question and its passages are in tokens at most, where no budget says: a token is a byte at
# least, passages are cut to some 400 tokens each, and the instructions take 600.
_PASSAGE_TOKENS = 400
_OTHER_TOKENS = 600


def estimate_run(question: Question, settings: Settings) -> Estimate:
    """Estimate what the answer to `question` may use at most: the budget where one is set."""
    asked = (question.query, *(text for turn in question.history for text in turn))
    tokens = settings.budget_tokens or (
        settings.chat_tokens
        + sum(len(text.encode("utf-8", "surrogatepass")) for text in asked)
        + question.top_k * _PASSAGE_TOKENS
        + _OTHER_TOKENS
    )
    seconds = question.seconds_left or settings.deadline
    return Estimate(tokens=tokens, usd=settings.budget_usd or 0.0, seconds=seconds)


def when_ended(
    app: App, meter: RunMeter, ticket: Ticket | None
) -> Callable[[RunTask], Awaitable[None]]:
    """Make what is called when a task has ended: it settles `ticket` and reports what it saw."""
    watch = app.loop_lag.open_watch()

    async def settle(task: RunTask) -> None:
        note_answer()
        record = meter.make_record(task)
        record.loop_lag_ms = round(app.loop_lag.close_watch(watch), 1)
        try:
            if app.tracer is not None:
                start = round(meter.start * 1000)
                record.trace = app.tracer.trace_run(record, start, meter.steps, meter.traceparent)
            app.reporter.report_run(record)
        except Exception:
            logger.exception("Run %s could not be reported.", task.run.id)
        tokens_in, tokens_out, usd = meter.count_usage(task)
        with anyio.move_on_after(SETTLE_SECONDS, shield=True):
            try:
                await app.limiter.settle(ticket, tokens=tokens_in + tokens_out, usd=usd)
            except RiverrunError:
                # What was reserved stays counted until the day ends.
                logger.warning("What run %s used could not be counted.", task.run.id)

    return settle
