"""Whatever a service sends is read without a fault of ours; its text is bounded and clean."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.provider_errors import find_meaning
from services.chat.providers import error_bodies
from services.chat.providers.chat_completions import read_chunk
from services.chat.providers.completion_stream import BrokenStreamError, CompletionStream
from services.chat.providers.error_bodies import find_error, read_error_body, read_retry_after
from services.chat.providers.event_stream import OversizeError
from services.chat.service_error import ServiceError

KEYS = ("error", "message", "detail", "code", "type", "status", "choices", "delta", "content",
        "usage", "finish_reason", "index", "loc", "msg", "base_resp", "status_code",
        "reasoning",
        "prompt_tokens", "completion_tokens", "done", "metadata", "raw", "text",
        "object")  # fmt: skip

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)


@given(objects, st.sampled_from([0, 200, 400, 429, 500]))
def test_any_object_is_an_error_or_none(value: dict[str, Any], status: int) -> None:
    """And a chunk, if it is none; its text is for the logger: on one line, and short."""
    found = find_error(value)
    error = found or read_error_body(status, {}, json.dumps(value).encode())
    assert find_meaning(error).code
    assert len(str(error)) < 800
    assert str(error).isprintable()
    if found is None:
        chunk = read_chunk(value)
        assert isinstance(chunk.text, str)
        assert chunk.usage is None or chunk.usage.input_tokens >= 0


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_any_bytes_are_an_answer_or_a_typed_failure(body: bytes, places: list[int]) -> None:
    """However they come: nothing else is ever raised."""
    stream = CompletionStream(1.0, 1.0, is_thinker=False)
    ends = sorted({place % (len(body) + 1) for place in places} | {0, len(body)})
    try:
        for start, end in zip(ends, [*ends[1:], len(body)], strict=True):
            assert all(item.text or item.thought for item in stream.feed(body[start:end]))
        list(stream.finish())
        stream.find_end(has_text=False)
    except (ServiceError, BrokenStreamError, OversizeError):
        pass


@pytest.mark.parametrize(
    ("headers", "milliseconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2000),
        ({"retry-after": "0.5"}, 500),
        ({"retry-after-ms": "150", "retry-after": "9"}, 150),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "999999999"}, 86_400_000),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], milliseconds: int | None) -> None:
    """By a number or a date, a day at most."""
    assert read_retry_after(headers) == milliseconds


@pytest.mark.parametrize("code", ["9" * 5000, "4" * 4301, 404, "404", "\u0664\u0660\u0664"])
def test_a_code_of_any_length_is_read(code: object) -> None:
    """Of thousands of digits Python makes no number; the service has failed all the same."""
    found = error_bodies.find_error({"error": {"code": code, "message": "no"}})
    assert found is not None
    assert found.status == (404 if len(str(code)) == 3 else 0)


def test_of_a_page_the_beginning_is_read() -> None:
    """A tag that is never closed would be looked for up to the end, from each of 65,536 places."""
    page = b"<title>Bad gateway</title>" + b"<" * error_bodies.MAX_BODY
    found = error_bodies.read_error_body(502, {}, page)
    assert found.text == "a page of HTML: Bad gateway"
    cut = error_bodies.read_error_body(502, {}, b"<" * error_bodies.MAX_BODY)
    assert len(cut.text) < 2 * error_bodies.MAX_PAGE


def test_a_date_is_as_far_away_as_it_is() -> None:
    """By this machine's clock."""
    moment = datetime.now(tz=UTC) + timedelta(seconds=30)
    wait = read_retry_after({"retry-after": format_datetime(moment, usegmt=True)})
    assert wait is not None
    assert 27_000 < wait <= 30_000


def test_the_prompt_that_an_error_repeats_is_not_logged() -> None:
    """FastAPI sends the refused input back, the whole question at times."""
    detail = [{"loc": ["body", "messages"], "msg": "Field required", "input": "my secret"}]
    error = read_error_body(422, {}, json.dumps({"detail": detail}).encode())
    assert (str(error), error.param) == ("422: messages: Field required", "messages")
