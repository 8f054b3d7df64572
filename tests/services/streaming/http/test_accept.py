"""The Accept header: what it welcomes, and that no header of a stranger can hurt."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.streaming.http.accept import explicit_quality, quality

STREAM = "text/event-stream"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", 1.0),
        ("  ", 1.0),
        ("*/*", 1.0),
        ("*/*;q=0", 0.0),
        ("text/*", 1.0),
        ("text/*;q=0.5, */*;q=0.1", 0.5),
        ("application/json", 0.0),
        ("application/*", 0.0),
        ("text/html", 0.0),
        ("text/event-streams", 0.0),
        ("xtext/event-stream", 0.0),
        ("text/event-stream", 1.0),
        ("Text/Event-Stream", 1.0),
        (" text/event-stream ", 1.0),
        ("text/event-stream;charset=utf-8", 1.0),
        ("text/event-stream;q=0", 0.0),
        ("text/event-stream;q=0.0", 0.0),
        ("text/event-stream;Q=0.25", 0.25),
        ("text/event-stream ; q = 0.25", 0.25),
        ("text/event-stream;q=0, */*", 0.0),
        ("*/*, text/event-stream;q=0", 0.0),
        ("application/json, text/plain, */*", 1.0),
        ("application/json, text/event-stream", 1.0),
        ("application/json;q=0.9,text/event-stream;q=0.8", 0.8),
        ("text/event-stream;q=7", 1.0),
        ("text/event-stream;q=-1", 0.0),
        ("text/event-stream;q=nan", 1.0),
        ("text/event-stream;q=", 1.0),
        (",,text/event-stream,,", 1.0),
        (";", 0.0),
    ],
)
def test_how_welcome_a_stream_is(accept: str, expected: float) -> None:
    """The most specific range decides, as RFC 9110 has it."""
    assert quality(accept, STREAM) == expected


@pytest.mark.parametrize("accept", ["", "*/*", "text/*", "text/html, */*;q=0.8"])
def test_a_wildcard_names_nothing(accept: str) -> None:
    """Every browser and client sends `*/*`; only the type itself asks for a stream."""
    assert explicit_quality(accept, STREAM) == 0


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_header_has_an_answer(accept: str) -> None:
    """No header makes the reading of it fail or leave the range."""
    assert 0 <= quality(accept, STREAM) <= 1
    assert 0 <= explicit_quality(accept, STREAM) <= 1
