"""One provider made of several models: try again, then the next one, inside the deadline.

Only before the first visible token: what a reader has seen is not said twice, nor paid twice,
unless the installation asks for it. Knows no model's API and no prices.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ..progress import Report, no_report
from .breaker import Breaker
from .budget import BudgetError
from .provider import (
    NOTHING,
    Anew,
    ChatError,
    ChatProvider,
    Note,
    Piece,
    Prompt,
    Stop,
    Text,
    Usage,
    answer,
)

log = logging.getLogger(__name__)

TRIES = 3
"""Calls in all, one a model where there are more models."""

# Full jitter (uniform from 0 to the pause), pauses in seconds, doubled from try to try.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0


@dataclass(slots=True)
class _Course:
    """How far an answer is: what the next call is asked, how many are left, what all took.

    `error` is how the last call failed, `shown` whether it had shown text, `anew` what stands
    before the next text; `whole` is the end.
    """

    prompt: Prompt
    left: int
    spent: Usage = NOTHING
    error: ChatError | None = None
    shown: bool = False
    anew: Anew | None = None
    whole: bool = False


@dataclass(slots=True)
class Retrying:
    """The first of `models` that answers, and patience with each.

    A model that is overloaded is asked again; one that fails otherwise hands over to the next.
    `restart` asks again even after text was shown, behind an `Anew`. `jitter`
    gives 0 to 1; `sleep` waits for seconds.
    """

    models: Sequence[ChatProvider]
    restart: bool = False
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    breakers: dict[str, Breaker] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The name of the model that is asked first."""
        return self.models[0].model

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        """Answer from the first model that does.

        Every call leaves the next ones less to spend. Raises the last `ChatError` when none did,
        or ``provider_throttled`` when every model has failed so often lately that none is asked.
        """
        course = _Course(prompt, max(TRIES, len(self.models)))
        for number, provider in enumerate(self.models, 1):
            tries = max(1, course.left - (len(self.models) - number))
            async with aclosing(self._tries(provider, tries, course, report)) as pieces:
                async for piece in pieces:
                    yield piece
            if course.whole:
                return
            if number < len(self.models) and _in_time(prompt, 0):
                yield Note("fallback", "Another model answers: the first one did not.")
        raise course.error or self._all_resting()

    async def _tries(
        self, provider: ChatProvider, tries: int, course: _Course, report: Report
    ) -> AsyncGenerator[Piece, None]:
        """Ask one model until it answers or the next one is to be asked."""
        for number in range(tries):
            if not self._breaker(provider).enter():
                return
            try:
                async with aclosing(self._call(provider, course, report)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except BudgetError:
                if course.error is None:
                    raise
                return  # another model may be cheaper
            except ChatError as error:
                if not self._may_go_on(error, course):
                    raise
                course.error = error
                if course.shown:
                    course.prompt = replace(course.prompt, so_far="")
                    course.anew = Anew("The answer broke off and is written again.")
            pause = self._pause(course.error, number)
            if number + 1 == tries or not _same_again(course.error, course.prompt, pause):
                return
            await self.sleep(pause)

    async def _call(
        self, provider: ChatProvider, course: _Course, report: Report
    ) -> AsyncGenerator[Piece, None]:
        breaker = self._breaker(provider)
        course.left -= 1
        course.shown = False
        usage: Usage | None = None
        try:
            async with aclosing(answer(provider, course.prompt, report=report)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        usage = piece
                        # One bill an answer: what earlier tries cost is in it.
                        yield course.spent + usage
                        continue
                    if isinstance(piece, Text | Stop) and course.anew is not None:
                        # What was shown stands until there is something in its place.
                        yield course.anew
                        course.anew = None
                    if isinstance(piece, Text) and piece.text:
                        course.shown = True
                        breaker.succeeded()
                    elif isinstance(piece, Stop) and provider is not self.models[0]:
                        piece = replace(piece, model=piece.model or provider.model)  # noqa: PLW2901 - the same piece, complete
                    yield piece
            course.whole = True
        except ChatError as error:
            if error.retryable:
                breaker.failed()
            log.warning("A model did not answer: %s.", error.code, exc_info=error)
            raise
        finally:
            if usage is not None:
                course.spent += usage
                spent = course.prompt.spent + usage
                course.prompt = replace(course.prompt, spent=spent, cut=())

    def _may_go_on(self, error: ChatError, course: _Course) -> bool:
        if error.code == "content_filtered" or course.left < 1 or not _in_time(course.prompt, 0):
            # Another model is not asked for what one's rules have refused.
            return False
        return not course.shown or (self.restart and error.retryable)

    def _pause(self, error: ChatError, number: int) -> float:
        pause: float = self.jitter() * min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
        return max(pause, (error.retry_after_ms or 0) / 1000)

    def _breaker(self, provider: ChatProvider) -> Breaker:
        return self.breakers.setdefault(provider.model, Breaker())

    def _all_resting(self) -> ChatError:
        wait = min(self._breaker(provider).wait for provider in self.models)
        return ChatError(
            "The model service has failed too often just now and is left alone for a moment.",
            code="provider_throttled",
            retry_after_ms=max(1000, round(wait * 1000)),
            hint="Wait a moment, then ask again.",
        )


def _same_again(error: ChatError, prompt: Prompt, pause: float) -> bool:
    # A model that was silent for all its time has used up ours; the next may be quicker.
    return error.retryable and error.code != "provider_timeout" and _in_time(prompt, pause)


def _in_time(prompt: Prompt, pause: float) -> bool:
    if prompt.until is None:
        return True
    return asyncio.get_running_loop().time() + pause < prompt.until
