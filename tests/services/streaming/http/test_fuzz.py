"""What strangers may send, made up by the thousand: a value or a refusal, and nothing else."""

import json
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.access.keys import parse_keys, read_plain_keys
from services.access.signature import sign, verify
from services.errors import RiverrunError, SetupError
from services.settings import Settings
from services.streaming.encoders import MODULES
from services.streaming.http.requests import parse_cursor, read_dialect_question, read_question
from services.telemetry.lines import escape_line
from tests.services.streaming.http.test_requests import JSON, request

# A share with every test; RIVERRUN_FUZZ=1000000 for a long run of this file.
EXAMPLES = int(os.environ.get("RIVERRUN_FUZZ", "80"))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5)
    ),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    ["query", "streaming", "sessionId", "top_k", "topK", "include", "metadata", "resume",
     "messages", "input", "model", "stream", "id", "threadId", "runId", "role", "content",
     "tools", "parts"]
)  # fmt: skip
OBJECTS = st.dictionaries(FIELDS | st.text(max_size=8), JSON_VALUES, max_size=8)
DIALECTS = [name for name in MODULES if name not in ("native", "ndjson")]

fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(call: Callable[[], Any]) -> Any:
    """What comes of a call that may refuse; any other exception is a fault."""
    try:
        return call()
    except RiverrunError as error:
        if error.code == "internal":
            raise
        return error


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what waits for nothing to its end, without a loop for each example."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits for something")


def make_question(body: bytes) -> Any:
    async def ask() -> Any:
        return await read_question(request("POST", headers=(JSON,), body=[body]), Settings())

    return outcome(lambda: drive(ask()))


@fuzz
@given(st.binary(max_size=300) | st.builds(lambda o: json.dumps(o).encode(), OBJECTS))
def test_a_body_is_a_question_or_is_refused(body: bytes) -> None:
    """Whatever its bytes."""
    question = make_question(body)
    if not isinstance(question, RiverrunError):
        assert 1 <= len(question.query) <= 8000
        assert "\x00" not in question.query
        assert 1 <= question.top_k <= 20


@fuzz
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=200))
def test_a_query_of_a_url_is_a_question_or_is_refused(query: str) -> None:
    """Whatever its characters."""

    async def ask() -> Any:
        return await read_question(request(target=f"/api/chat?{query}"), Settings())

    outcome(lambda: drive(ask()))


@fuzz
@given(st.sampled_from(DIALECTS), OBJECTS)
def test_a_request_of_a_dialect_is_a_question_or_is_refused(dialect: str, body: Any) -> None:
    """Each of them, whatever its fields hold."""

    async def ask() -> Any:
        asked = request("POST", headers=(JSON,), body=[json.dumps(body).encode()])
        return await read_dialect_question(asked, dialect, Settings())

    outcome(lambda: drive(ask()))


@fuzz
@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{32}-[0-9]{1,12}", fullmatch=True))
def test_a_cursor_is_one_of_ours_or_is_refused(text: str) -> None:
    """And is written as it was read."""
    cursor = outcome(lambda: parse_cursor(text))
    if not isinstance(cursor, RiverrunError):
        assert f"{cursor.run_id}-{cursor.seq}" == text


@fuzz
@given(st.text(max_size=200), st.integers(0, 200), st.characters())
def test_a_token_that_was_changed_is_none(said: str, place: int, other: str) -> None:
    """By one character anywhere."""
    token = sign("k", {"said": said}, ("a secret of sixteen",))
    at = place % len(token)
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        assert verify("k", changed, ("a secret of sixteen",)) is None


@fuzz
@given(st.text(max_size=200) | st.builds(json.dumps, JSON_VALUES))
def test_a_list_of_keys_is_read_or_is_refused(text: str) -> None:
    """A list that is none locks no one in."""
    with suppress(SetupError):
        parse_keys(text)
    read_plain_keys([text])


@fuzz
@given(st.text(max_size=300))
def test_a_line_is_one_line(text: str) -> None:
    """In every reading of what ends one."""
    assert len(escape_line(text).splitlines()) <= 1
