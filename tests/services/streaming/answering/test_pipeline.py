"""What the pipeline tells a provider of the time it has."""

import anyio
import pytest

from services.streaming.answering.pipeline import _answer_deadline
from services.streaming.question import Question


@pytest.mark.anyio
async def test_a_provider_is_told_until_when() -> None:
    """By the loop's clock, a margin before the platform's end; None where there is no end."""
    assert _answer_deadline(Question(query="q")) is None
    until = _answer_deadline(Question(query="q", seconds_left=30.0))
    assert until is not None
    assert 27 < until - anyio.current_time() < 30
