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

from services.chat.breaker import Breaker
from services.chat.provider import (
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
from services.progress import Report, unheard

log = logging.getLogger(__name__)

TRIES = 3
"""Calls in all, one a model where there are more models."""

# Full jitter (uniform from 0 to the pause), pauses in seconds, doubled from try to try.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0


@dataclass(slots=True)
class _Attempt:
    """One call: whether it has shown text, and how it failed."""

    shown: bool = False
    error: ChatError | None = None


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
        self, prompt: Prompt, *, report: Report = unheard
    ) -> AsyncGenerator[Piece, None]:
        """Answer from the first model that does.

        Raises the last `ChatError` when none did, or ``provider_throttled`` when every model has
        failed so often lately that none is asked.
        """
        spent: list[Usage] = []
        left = max(TRIES, len(self.models))
        error: ChatError | None = None
        for number, provider in enumerate(self.models, 1):
            tries = max(1, left - (len(self.models) - number))
            for attempt_number in range(tries):
                if not self._breaker(provider).enter():
                    break
                left -= 1
                attempt = _Attempt()
                async with aclosing(
                    self._attempt(provider, prompt, attempt, spent, report)
                ) as pieces:
                    async for piece in pieces:
                        yield piece
                if attempt.error is None:
                    return
                error = attempt.error
                if not self._may_go_on(error, attempt, prompt, left):
                    raise error
                if attempt.shown:
                    prompt = replace(prompt, so_far="")
                    yield Anew("The answer broke off and is written again.")
                pause = self._pause(error, attempt_number)
                if attempt_number + 1 == tries or not _same_again(error, prompt, pause):
                    break
                await self.sleep(pause)
            if number < len(self.models) and _in_time(prompt, 0):
                yield Note("fallback", "Another model answers: the first one did not.")
        raise error or self._all_resting()

    async def _attempt(
        self,
        provider: ChatProvider,
        prompt: Prompt,
        attempt: _Attempt,
        spent: list[Usage],
        report: Report,
    ) -> AsyncGenerator[Piece, None]:
        breaker = self._breaker(provider)
        usage: Usage | None = None
        try:
            async with aclosing(answer(provider, prompt, report=report)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Text) and piece.text:
                        attempt.shown = True
                        breaker.succeeded()
                    elif isinstance(piece, Usage):
                        usage = piece
                        # One bill a run: what earlier tries cost is in it.
                        piece = _sum([*spent, usage])  # noqa: PLW2901 - the same piece, complete
                    elif isinstance(piece, Stop) and provider is not self.models[0]:
                        piece = replace(piece, model=piece.model or provider.model)  # noqa: PLW2901
                    yield piece
            breaker.succeeded()
        except ChatError as error:
            attempt.error = error
            if error.retryable:
                breaker.failed()
            log.warning("A model did not answer: %s.", error.code, exc_info=error)
        finally:
            if usage is not None:
                spent.append(usage)

    def _may_go_on(self, error: ChatError, attempt: _Attempt, prompt: Prompt, left: int) -> bool:
        if error.code == "content_filtered" or left < 1 or not _in_time(prompt, 0):
            # Another model is not asked for what one's rules have refused.
            return False
        return not attempt.shown or (self.restart and error.retryable)

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


def _sum(usages: Sequence[Usage]) -> Usage:
    costs = [usage.cost_usd for usage in usages]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        stored_tokens=sum(usage.stored_tokens for usage in usages),
    )
