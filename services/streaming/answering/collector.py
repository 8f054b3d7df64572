"""Turn the pieces of a model's answer into events, and collect them for the result.

Knows no provider, and nothing of how a run ends.
"""

from dataclasses import dataclass, field
from typing import Self

from ...chat import ZERO_USAGE, ModelUsage, Note, Piece, Restart, Stop, Text, ThoughtText
from ..event_json import clean
from ..events import Event, FinishReason, Notice, Reset, Token, Usage, UsageEvent
from ..question import Question


@dataclass(slots=True)
class AnswerCollector:
    """The answer so far in UTF-8; `spent` is what is known of the cost of earlier producers."""

    text_bytes: bytearray = field(default_factory=bytearray)
    spent: ModelUsage = ZERO_USAGE
    usage: Usage | None = None
    finish_reason: FinishReason = "stop"
    model: str | None = None

    @classmethod
    def resume_from(cls, question: Question) -> Self:
        """Make a collector that goes on after what earlier producers said, and spent on it."""
        usage = question.earlier.usage if question.earlier is not None else None
        said = bytearray(question.so_far.encode())
        if usage is None:
            return cls(said)
        spent = ModelUsage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cost_usd,
            reasoning_tokens=usage.reasoning_tokens or 0,
        )
        return cls(said, spent, usage)

    def take_text(self) -> str:
        """Return the text, and hold it no longer."""
        text = self.text_bytes.decode()
        self.text_bytes = bytearray()
        return text

    def to_event(self, piece: Piece) -> Event | None:
        """Collect `piece` of a provider's stream; return the event that it becomes, if any."""
        if isinstance(piece, Text):
            self.text_bytes += clean(piece.text).encode()
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
            self.text_bytes.clear()
            return Reset(piece.reason)
        total = self.spent + piece
        self.usage = Usage(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            cost_usd=total.cost_usd,
            reasoning_tokens=total.reasoning_tokens or None,
        )
        return UsageEvent(self.usage)
