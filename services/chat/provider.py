"""The protocol of chat providers, and `answer`, which every answer passes through.

A provider turns a `Prompt` into pieces: text as it comes, its usage, and how it ended. `answer`
keeps the promises that must hold for every provider. Neither knows what reads the pieces or how
they travel.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from ..errors import RiverrunError
from ..passages import Passage
from ..progress import Report, no_report
from .draft import Draft

logger = logging.getLogger(__name__)

ChatCode = Literal[
    "provider_throttled",
    "provider_error",
    "provider_timeout",
    "provider_truncated",
    "content_filtered",
    "context_too_long",
]
"""The codes of the contract that a provider may fail with."""

CHAT_CODES: tuple[ChatCode, ...] = get_args(ChatCode)

StopReason = Literal["stop", "length", "budget"]
"""How an answer may end well; every other end of a provider is a `ChatError`."""

_RETRYABLE = frozenset({"provider_throttled", "provider_timeout", "provider_truncated"})


class ChatError(RiverrunError):
    """The provider did not answer, or not to the end.

    `message` is ours and fit for the person who asked; the provider's text is in the cause, for the
    logger. Whether the error is `retryable` follows from the code unless the caller says.
    """

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        code: ChatCode = "provider_error",
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message,
            code=code,
            retryable=code in _RETRYABLE if retryable is None else retryable,
            retry_after_ms=retry_after_ms,
            hint=hint,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier exchange of the conversation."""

    question: str
    answer: str


MAX_TOKENS = 20_000_000
"""Tokens of one call. No model reads or writes as many: a service that says more is wrong."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What a call has used so far, in the provider's tokens; `cost_usd` is None if unknown.

    Of `input_tokens`, `cached_tokens` were read from the provider's prompt cache and
    `stored_tokens` written to it; both have prices of their own. Of `output_tokens`,
    `reasoning_tokens` were thought and not said. Two usages add up; the cost of a sum is unknown if
    one of the costs is.
    """

    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    cached_tokens: int = 0
    stored_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "ModelUsage") -> "ModelUsage":
        cost = None
        if self.cost_usd is not None and other.cost_usd is not None:
            # Rounded as prices are: no digits that only floating point made.
            cost = round(self.cost_usd + other.cost_usd, 9)
        return ModelUsage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            cost,
            self.cached_tokens + other.cached_tokens,
            self.stored_tokens + other.stored_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


ZERO_USAGE = ModelUsage(0, 0, 0.0)
"""The usage before any call."""


@dataclass(frozen=True, slots=True)
class UnbilledCall:
    """A call for this answer that ended with its process, before it reported its usage.

    It continued `so_far` and had produced `text`.
    """

    so_far: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a provider answers: a question, and the passages it may answer from.

    `passages` are in rank order; a citation ``[n]`` means the n-th of them, from 1. Their text
    is data: a provider never obeys it. `history` is oldest first. `max_tokens` bounds the
    answer, in the provider's own tokens, `so_far` included. `so_far` is the text that an earlier
    invocation produced: the provider produces only what follows. `until` is when the answer has to
    be whole, by the clock of the event loop (seconds): nothing is tried again after it. `spent` is
    the usage that earlier calls for this answer reported, in this invocation and before it;
    `unbilled_calls` are those that reported none. `max_output_tokens` is what the budget pays for,
    thoughts included; None is no limit. `documents` are the titles of all documents, where the
    question is about them; `draft` is what a `DraftingProvider` has written already.
    """

    question: str
    passages: tuple[Passage, ...]
    history: tuple[Turn, ...] = ()
    max_tokens: int = 1024
    so_far: str = ""
    until: float | None = None
    spent: ModelUsage = ZERO_USAGE
    is_watched: bool = False
    unbilled_calls: tuple[UnbilledCall, ...] = ()
    documents: tuple[str, ...] = ()
    draft: Draft | None = None
    max_output_tokens: int | None = None

    def limit_output(self, thinking_tokens: int) -> int:
        """Return the limit of answer and thoughts together, as far as it is paid for."""
        limit = self.max_tokens + thinking_tokens
        return limit if self.max_output_tokens is None else min(limit, self.max_output_tokens)


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer; the pieces joined are the answer, byte for byte."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtText:
    """What the model thinks before it answers. It is counted, and shown to no reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A notice that changes nothing of the answer: that another model answers, for example."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The answer begins again: the text so far no longer stands."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The answer has ended well.

    "stop": it is whole. "length": it was cut at `max_tokens` or where the model's window ends.
    "budget": it was cut because the run's money or tokens are spent. `model` is the model that
    answered, where that is not the provider's own `model`.
    """

    reason: StopReason
    model: str | None = None


Piece = Text | ThoughtText | ModelUsage | Note | Restart | Stop


class ChatProvider(Protocol):
    """A source of answers.

    `stream` yields `Text`, perhaps `ThoughtText`, `ModelUsage`, `Note`, then one `Stop`, no more.
    A provider that cannot continue `Prompt.so_far` begins with `Restart`. It acquires inside and
    releases in `finally`, so that closing it at any piece, or cancelling it between two, frees
    everything at once. It fails with `ChatError`. One provider serves many streams at the same
    time, and they share nothing but its connections.
    """

    @property
    def model(self) -> str:
        """The name under which a result reports who answered."""
        ...

    def stream(self, prompt: Prompt, *, report: Report = no_report) -> AsyncGenerator[Piece, None]:
        """Answer `prompt`, and pass progress to `report`."""
        ...


async def answer(
    provider: ChatProvider, prompt: Prompt, *, report: Report = no_report
) -> AsyncGenerator[Piece, None]:
    """Stream the provider's answer to `prompt`; the last piece is its `Stop`.

    Thoughts stay here. The provider's generator is closed on every end, and before `Stop` is
    yielded: a caller that sees the end may rely on nothing being left open. Raises `ChatError`
    ``provider_truncated`` for an answer that ends without `Stop` or has no words, and
    ``provider_error`` for any error of a provider that is not a `RiverrunError`.
    """
    stop: Stop | None = None
    words = _Words(prompt)
    try:
        async with aclosing(provider.stream(prompt, report=report)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Stop):
                    stop = piece
                    break
                words.note(piece)
                if not isinstance(piece, ThoughtText):
                    yield piece
    except RiverrunError:
        if stop is None:
            raise
        logger.warning("The provider failed after its answer was whole.", exc_info=True)
    except Exception as error:
        if stop is None:
            raise ChatError(
                "The answer could not be written: the model service failed.",
                hint="Ask again. If it keeps failing, the log of the service says why.",
            ) from error
        logger.warning("The provider failed after its answer was whole.", exc_info=True)
    if stop is None:
        raise ChatError(
            "The answer broke off before its end.",
            code="provider_truncated",
            hint="Ask again; what arrived so far may be incomplete.",
        )
    words.check(stop)
    yield stop


class _Words:
    """Notes whether an answer has any words, and whether it was thought about."""

    def __init__(self, prompt: Prompt) -> None:
        self._has_text = bool(prompt.so_far.strip())
        self._has_thoughts = False

    def note(self, piece: Piece) -> None:
        if isinstance(piece, Text):
            self._has_text = self._has_text or bool(piece.text.strip())
        elif isinstance(piece, ThoughtText):
            self._has_thoughts = True
        elif isinstance(piece, Restart):
            self._has_text = False
        elif isinstance(piece, ModelUsage) and piece.reasoning_tokens:
            self._has_thoughts = True

    def check(self, stop: Stop) -> None:
        """Raise the `ChatError` that an answer without words is."""
        if self._has_text:
            return
        message, hint = "The answer came out empty.", "Ask again, or put the question another way."
        if self._has_thoughts and stop.reason != "stop":
            message = "The model used up its limit by thinking, before it wrote an answer."
            hint = (
                "Allow it more with RIVERRUN_CHAT_THINKING_TOKENS (or a larger budget), or less "
                "effort with RIVERRUN_CHAT_EFFORT=low."
            )
        elif self._has_thoughts:
            message = "The model thought about it, and wrote no answer."
        elif stop.reason == "length":
            hint = "Allow more with RIVERRUN_CHAT_TOKENS: a model that thinks may need thousands."
        # The same request would be paid again and end the same way; another model may do better.
        raise ChatError(message, code="provider_truncated", retryable=False, hint=hint)
