"""Make one provider of several models: try again, then the next model, inside the deadline.

Only before the first visible token: a text that a reader has seen is not written or paid twice,
unless the settings ask for it. Knows no model's API and no prices.
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
    ZERO_USAGE,
    ChatError,
    ChatProvider,
    ModelUsage,
    Note,
    Piece,
    Prompt,
    Restart,
    Stop,
    Text,
    answer,
)

logger = logging.getLogger(__name__)

MAX_CALLS = 3
"""Calls in all; one for each model where there are more models."""

# Full jitter (uniform from 0 to the pause), pauses in seconds, doubled from try to try.
FIRST_PAUSE = 0.5
MAX_PAUSE = 8.0

# How long a reader waits for a model that asks to be asked later (``Retry-After``), in seconds:
# where it is the last one, where another one stands by. And how long such a model is left alone.
MAX_WAIT = 5.0
MAX_WAIT_BEFORE_NEXT = 1.0
MAX_HOLD = 60.0

# What a model's service is at fault for, whatever it was asked.
_FAULTS_OF_SERVICE = frozenset({"provider_error", "provider_throttled", "provider_timeout"})


@dataclass(slots=True)
class _AnswerState:
    """How far an answer is: the prompt of the next call, the calls left, the usage of all calls.

    `error` is how the last call failed, `has_shown_text` whether it had shown text;
    `pending_restart` is sent before the next text.
    """

    prompt: Prompt
    calls_left: int
    spent: ModelUsage = ZERO_USAGE
    error: ChatError | None = None
    has_shown_text: bool = False
    pending_restart: Restart | None = None
    is_whole: bool = False


@dataclass(slots=True)
class RetryingProvider:
    """Answers from the first of `models` that does.

    A model that is overloaded is asked again; after any other failure the next one is asked.
    `restart` asks again even after text was shown, behind a `Restart`. `jitter` returns 0 to 1;
    `sleep` waits for seconds.
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

        Every call leaves less of the budget to the next ones. Raises the last `ChatError` when none
        did, or ``provider_throttled`` when every model has failed so often lately that none is
        asked.
        """
        state = _AnswerState(prompt, max(MAX_CALLS, len(self.models)))
        for number, provider in enumerate(self.models, 1):
            tries = max(1, state.calls_left - (len(self.models) - number))
            async with aclosing(self._try_model(provider, tries, state, report)) as pieces:
                async for piece in pieces:
                    yield piece
            if state.is_whole:
                return
            if number < len(self.models) and _is_in_time(prompt, 0):
                yield Note("fallback", "Another model answers: the first one did not.")
        raise state.error or self._make_all_resting_error()

    async def _try_model(
        self, provider: ChatProvider, tries: int, state: _AnswerState, report: Report
    ) -> AsyncGenerator[Piece, None]:
        """Ask one model until it answers or the next one is to be asked."""
        for number in range(tries):
            if not self._get_breaker(provider).try_enter():
                return
            try:
                async with aclosing(self._call_model(provider, state, report)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except BudgetError:
                if state.error is None:
                    raise
                return  # another model may be cheaper
            except ChatError as error:
                if not self._can_continue(error, state):
                    raise
                state.error = error
                if state.has_shown_text:
                    state.prompt = replace(state.prompt, so_far="")
                    state.pending_restart = Restart("The answer broke off and is written again.")
            pause = self._choose_pause(state.error, number)
            # Longer no reader waits: the next model is asked, or the reader is told.
            longest = MAX_WAIT if provider is self.models[-1] else MAX_WAIT_BEFORE_NEXT
            is_last = number + 1 == tries or pause > longest
            if is_last or not _can_retry_same_model(state.error, state.prompt, pause):
                return
            await self.sleep(pause)

    async def _call_model(
        self, provider: ChatProvider, state: _AnswerState, report: Report
    ) -> AsyncGenerator[Piece, None]:
        breaker = self._get_breaker(provider)
        state.calls_left -= 1
        state.has_shown_text = False
        usage: ModelUsage | None = None
        try:
            async with aclosing(answer(provider, state.prompt, report=report)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ModelUsage):
                        usage = piece
                        # One usage for the answer: that of earlier tries is in it.
                        yield state.spent + usage
                        continue
                    if isinstance(piece, Text | Stop) and state.pending_restart is not None:
                        # The text that was shown stays until there is other text in its place.
                        yield state.pending_restart
                        state.pending_restart = None
                    if isinstance(piece, Text) and piece.text:
                        state.has_shown_text = True
                        breaker.record_success()
                    elif isinstance(piece, Restart):
                        state.has_shown_text = False
                    elif isinstance(piece, Stop) and provider is not self.models[0]:
                        piece = replace(piece, model=piece.model or provider.model)  # noqa: PLW2901 - the same piece, complete
                    yield piece
            state.is_whole = True
        except ChatError as error:
            _record_failure(breaker, error)
            logger.warning("A model did not answer: %s.", error.code, exc_info=error)
            raise
        finally:
            if usage is not None:
                state.spent += usage
                spent = state.prompt.spent + usage
                state.prompt = replace(state.prompt, spent=spent, unbilled_calls=())

    def _can_continue(self, error: ChatError, state: _AnswerState) -> bool:
        if (
            error.code == "content_filtered"
            or state.calls_left < 1
            or not _is_in_time(state.prompt, 0)
        ):
            # What one model's rules refused is not asked of another model.
            return False
        return not state.has_shown_text or (self.restart and error.retryable)

    def _choose_pause(self, error: ChatError, number: int) -> float:
        pause: float = self.jitter() * min(MAX_PAUSE, FIRST_PAUSE * 2**number)
        return max(pause, (error.retry_after_ms or 0) / 1000)

    def _get_breaker(self, provider: ChatProvider) -> Breaker:
        return self.breakers.setdefault(provider.model, Breaker())

    def _make_all_resting_error(self) -> ChatError:
        wait = min(self._get_breaker(provider).wait for provider in self.models)
        return ChatError(
            "The model service has failed too often just now and is left alone for a moment.",
            code="provider_throttled",
            retry_after_ms=max(1000, round(wait * 1000)),
            hint="Wait a moment, then ask again.",
        )


def _record_failure(breaker: Breaker, error: ChatError) -> None:
    # Not what a question alone can cause, an empty answer for one: one visitor would close the
    # model to all.
    if error.retryable and error.code in _FAULTS_OF_SERVICE:
        breaker.record_failure()
    wait = (error.retry_after_ms or 0) / 1000
    if wait > MAX_WAIT:
        breaker.hold(min(wait, MAX_HOLD))


def _can_retry_same_model(error: ChatError, prompt: Prompt, pause: float) -> bool:
    # A model that was silent until its timeout is not asked again; the next may be quicker.
    return error.retryable and error.code != "provider_timeout" and _is_in_time(prompt, pause)


def _is_in_time(prompt: Prompt, pause: float) -> bool:
    if prompt.until is None:
        return True
    return asyncio.get_running_loop().time() + pause < prompt.until
