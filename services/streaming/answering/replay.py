"""The flight recorder: a producer that says again what a recording holds, when it was said.

It takes the pipeline's place, so that what it says passes the stages of every run: a replay is a
new run in the log, which can be resumed, stopped and asked for as JSON. It calls no model and
searches nothing.
"""

import asyncio
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace

from ...errors import RiverrunError
from ...runs.recordings import Recording
from ..event_json import read_event
from ..events import ErrorEvent, Event, Final, Reset, Sources, Status, Token
from ..question import Question


async def replay(
    question: Question,
    recordings: Sequence[Recording],
    speed: float,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[Event, None]:
    """Yield the events of the recording of `question`, from where an earlier producer was.

    `speed` 1 is as it was, 10 ten times as fast, 0 all at once. What belongs to the run that was
    recorded (its id, session, cursor and times) is this run's own. A recording without an end
    ends as interrupted. Raises `RiverrunError` when there is no recording of the question.
    """
    recording = find_recording(question.query, recordings)
    events = [(seconds, read_event(entry.payload)) for seconds, entry in recording.entries]
    after = _count_known([event for _, event in events], question)
    # The time is counted from the start, so that late wake-ups do not add up.
    loop = asyncio.get_running_loop()
    skipped = events[after - 1][0] if after else 0.0
    begun = loop.time()
    for seconds, event in events[after:]:
        if speed and (wait := begun + (seconds - skipped) / speed - loop.time()) > 0:
            await sleep(wait)
        yield _strip_run_fields(event)
    if not recording.entries or not recording.entries[-1][1].terminal:
        raise RiverrunError(
            "The answer was interrupted: its recording has no end.",
            code="interrupted",
            retryable=True,
            hint="Ask again.",
        )


def _count_known(events: Sequence[Event], question: Question) -> int:
    """Return how many of a recording's events an earlier producer of this run has said."""
    if question.earlier is None:
        return 0
    text = 0
    for number, event in enumerate(events, 1):
        if isinstance(event, Reset):
            text = 0
        elif isinstance(event, Token):
            text += len(event.text)
        elif isinstance(event, Sources) and question.earlier.sources and not question.so_far:
            return number
        if question.so_far and text >= len(question.so_far):
            return number
    return 0


def find_recording(query: str, recordings: Sequence[Recording]) -> Recording:
    """Return the recording of a question: of the same words, or the only one there is."""
    words = _words(query)
    for recording in recordings:
        if _words(recording.query) == words:
            return recording
    if len(recordings) == 1:
        return recordings[0]
    raise RiverrunError(
        "There is no recording of this question.",
        code="not_found",
        hint="Ask one that was recorded, in the same words.",
    )


def _words(query: str) -> list[str]:
    return unicodedata.normalize("NFC", query).casefold().split()


def _strip_run_fields(event: Event) -> Event:
    if isinstance(event, Status):
        return replace(event, timestamp=0)
    if isinstance(event, Final):
        result = replace(
            event.result, run_id=None, session_id=None, metadata={}, steps=(), execution_time_ms=0
        )
        return Final(result)
    if isinstance(event, ErrorEvent):
        return replace(event, run_id=None, cursor=None)
    return event
