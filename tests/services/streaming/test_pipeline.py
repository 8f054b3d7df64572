"""What the pieces of a provider become on the wire."""

import anyio
import pytest

from services.chat import Anew, Note, Stop, Text, Usage
from services.streaming.events import Notice, Reset, Spent, Token
from services.streaming.pipeline import _until, _Writing
from services.streaming.question import Question


def test_pieces_become_events() -> None:
    """A note is a notice, usage is spent, text is a token; the end is kept for the result."""
    writing = _Writing.after(Question(query="q"))
    assert writing.event(Text("a")) == Token("a")
    assert writing.event(Note("fallback", "m")) == Notice("fallback", "m")
    spent = writing.event(Usage(3, 2, 0.5))
    assert isinstance(spent, Spent)
    assert (spent.usage.input_tokens, spent.usage.cost_usd) == (3, 0.5)
    assert writing.event(Stop("budget", "other")) is None
    assert (writing.finish_reason, writing.model) == ("budget", "other")


def test_an_answer_told_anew_drops_what_was_said() -> None:
    """The result then has the second telling only, as the reader does."""
    writing = _Writing()
    writing.event(Text("wrong"))
    assert writing.event(Anew("It broke off.")) == Reset("It broke off.")
    writing.event(Text("right"))
    assert writing.said == b"right"


@pytest.mark.anyio
async def test_a_provider_is_told_until_when() -> None:
    """By the loop's clock, a margin before the platform's end; None where there is no end."""
    assert _until(Question(query="q")) is None
    until = _until(Question(query="q", seconds_left=30.0))
    assert until is not None
    assert 27 < until - anyio.current_time() < 30
