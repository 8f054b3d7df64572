"""From the pieces of a model's answer to events of the wire.

Keeps what was said and spent, for the result. Knows no provider, and nothing of how a run ends.
"""

from dataclasses import dataclass, field
from typing import Self

from ...chat import ZERO_USAGE, Note, Piece, Restart, Stop, Text, ThoughtText
from ...chat import Usage as Bill
from ..events import (
    Event,
    FinishReason,
    Notice,
    Reset,
    Token,
    Usage,
    UsageEvent,
    clean,
)
from ..question import Question


@dataclass(slots=True)
class AnswerCollector:
    """What a provider has `said` so far, in UTF-8; `spent` is what is known of others' cost."""

    said: bytearray = field(default_factory=bytearray)
    spent: Bill = ZERO_USAGE
    usage: Usage | None = None
    finish_reason: FinishReason = "stop"
    model: str | None = None

    @classmethod
    def after(cls, question: Question) -> Self:
        """Going on with what was said of an answer, and spent on it, before."""
        usage = question.earlier.usage if question.earlier is not None else None
        said = bytearray(question.so_far.encode())
        if usage is None:
            return cls(said)
        return cls(said, Bill(usage.input_tokens, usage.output_tokens, usage.cost_usd), usage)

    def taken(self) -> str:
        """What was said, which is not held here any longer."""
        text = self.said.decode()
        self.said = bytearray()
        return text

    def event(self, piece: Piece) -> Event | None:
        """The event that `piece` of a provider's stream becomes, if it becomes one."""
        if isinstance(piece, Text):
            self.said += clean(piece.text).encode()
            return Token(piece.text)
        if isinstance(piece, Stop):
            self.finish_reason = piece.reason
            self.model = piece.model
            return None
        if isinstance(piece, Note):
            return Notice(piece.code, piece.message)
        if isinstance(piece, ThoughtText):
            return None
        if isinstance(piece, Restart):
            self.said.clear()
            return Reset(piece.reason)
        total = self.spent + piece
        self.usage = Usage(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            cost_usd=total.cost_usd,
        )
        return UsageEvent(self.usage)
