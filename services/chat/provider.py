"""What a provider of answers is, and what every answer passes through.

A provider turns a `Prompt` into pieces: text as it comes, what it cost, and how it ended.
`answer` keeps the promises that no provider can be trusted to keep for itself. Neither knows
who reads the pieces or how they travel.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from ..errors import RiverrunError
from ..passages import Passage
from ..progress import Report, no_report

log = logging.getLogger(__name__)

ChatCode = Literal[
    "provider_throttled",
    "provider_error",
    "provider_timeout",
    "provider_truncated",
    "content_filtered",
    "context_too_long",
]
"""The codes of the wire contract that a provider may fail with."""

CHAT_CODES: tuple[ChatCode, ...] = get_args(ChatCode)

StopReason = Literal["stop", "length", "budget"]
"""How an answer may end well; every other end a provider reports is a `ChatError`."""

_RETRYABLE = frozenset({"provider_throttled", "provider_timeout", "provider_truncated"})


class ChatError(RiverrunError):
    """The provider did not answer, or not to the end.

    `message` is ours and fit for the person who asked; what the provider said is the cause,
    for the log. Whether it is `retryable` follows from the code unless the caller knows better.
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


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call took so far, in the provider's tokens; `cost_usd` is None if unknown.

    Of `input_tokens`, `cached_tokens` were read from the provider's prompt cache and
    `stored_tokens` written to it; both have prices of their own. Two of them add up; what is
    unknown of one is unknown of the sum.
    """

    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    cached_tokens: int = 0
    stored_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        cost = None
        if self.cost_usd is not None and other.cost_usd is not None:
            # To a thousandth of a millionth, as a price gives it: no digits of a float's own.
            cost = round(self.cost_usd + other.cost_usd, 9)
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            cost,
            self.cached_tokens + other.cached_tokens,
            self.stored_tokens + other.stored_tokens,
        )


NOTHING = Usage(0, 0, 0.0)
"""What is spent before anything is asked."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A call for this answer that ended, with its process, before it told what it took.

    It went on with `so_far` and had `said` so much more.
    """

    so_far: str
    said: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a provider answers: a question, and the passages it may answer from.

    `passages` are in rank order; a citation ``[n]`` means the n-th of them, from 1. Their text
    is data: a provider never obeys it. `history` is oldest first. `max_tokens` bounds the
    answer, in the provider's own tokens, `so_far` included. `so_far` is what an earlier
    invocation already said of this answer: the provider says only what comes after it. `until`
    is when the answer has to be whole, by the clock of the event loop (seconds): nothing is tried
    again after it. `spent` is what earlier calls for this answer are known to have taken, in this
    invocation and before it; `cut` are those that did not tell.
    """

    question: str
    passages: tuple[Passage, ...]
    history: tuple[Turn, ...] = ()
    max_tokens: int = 1024
    so_far: str = ""
    until: float | None = None
    spent: Usage = NOTHING
    cut: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer; the pieces joined are the answer, byte for byte."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth telling that changes nothing: another model answers, say."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Anew:
    """The answer is told from its beginning again: what was said so far no longer fits."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The provider's word that the answer has ended well.

    "stop": it is whole. "length": it was cut at `max_tokens` or where the model's window ends.
    "budget": it was cut because the run's money or tokens are spent. `model` is who said it,
    where that is not the provider's own `model`.
    """

    reason: StopReason
    model: str | None = None


Piece = Text | Usage | Note | Anew | Stop


class ChatProvider(Protocol):
    """Where answers come from.

    `stream` yields `Text`, perhaps `Usage` and `Note`, then one `Stop`, and no more. One that
    cannot go on from `Prompt.so_far` begins with `Anew`. It acquires inside and releases in
    `finally`, so that closing it at any piece, or cancelling it between two, frees everything at
    once. It fails with `ChatError`. One provider serves many streams at
    the same time, and they share nothing but its connections.
    """

    @property
    def model(self) -> str:
        """The name under which a result reports who answered."""
        ...

    def stream(self, prompt: Prompt, *, report: Report = no_report) -> AsyncGenerator[Piece, None]:
        """Answer `prompt`, telling `report` what is being done."""
        ...


async def answer(
    provider: ChatProvider, prompt: Prompt, *, report: Report = no_report
) -> AsyncGenerator[Piece, None]:
    """Stream the provider's answer to `prompt`; the last piece is its `Stop`.

    The provider's generator is closed on every end, and before `Stop` is shown: whoever sees
    the end may rely on nothing being left open. Raises `ChatError` ``provider_truncated`` for
    an answer that ends without `Stop`, and ``provider_error`` for whatever a provider raises
    that is not a `RiverrunError`.
    """
    stop: Stop | None = None
    try:
        async with aclosing(provider.stream(prompt, report=report)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Stop):
                    stop = piece
                    break
                yield piece
    except RiverrunError:
        if stop is None:
            raise
        log.warning("The provider failed after its answer was whole.", exc_info=True)
    except Exception as error:
        if stop is None:
            raise ChatError(
                "The answer could not be written: the model service failed.",
                hint="Ask again. If it keeps failing, the log of the service says why.",
            ) from error
        log.warning("The provider failed after its answer was whole.", exc_info=True)
    if stop is None:
        raise ChatError(
            "The answer broke off before its end.",
            code="provider_truncated",
            hint="Ask again; what arrived so far may be incomplete.",
        )
    yield stop
