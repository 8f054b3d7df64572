"""What the pieces of a provider become on the wire."""

from services.chat import ModelUsage, Note, Restart, Stop, Text
from services.streaming.answering.collector import AnswerCollector
from services.streaming.events import Notice, Reset, Token, UsageEvent
from services.streaming.question import Question


def test_pieces_become_events() -> None:
    """A note is a notice, usage is spent, text is a token; the end is kept for the result."""
    writing = AnswerCollector.resume_from(Question(query="q"))
    assert writing.to_event(Text("a")) == Token("a")
    assert writing.to_event(Note("fallback", "m")) == Notice("fallback", "m")
    spent = writing.to_event(ModelUsage(3, 2, 0.5))
    assert isinstance(spent, UsageEvent)
    assert (spent.usage.input_tokens, spent.usage.cost_usd) == (3, 0.5)
    assert writing.to_event(Stop("budget", "other")) is None
    assert (writing.finish_reason, writing.model) == ("budget", "other")


def test_an_answer_told_anew_drops_what_was_said() -> None:
    """The result then has the second telling only, as the reader does."""
    writing = AnswerCollector()
    writing.to_event(Text("wrong"))
    assert writing.to_event(Restart("It broke off.")) == Reset("It broke off.")
    writing.to_event(Text("right"))
    assert writing.text_bytes == b"right"
