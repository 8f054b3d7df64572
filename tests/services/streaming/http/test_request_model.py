"""The request model: every field's type, range and words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.streaming.http.request_model import DETAILS_LIMIT
from services.streaming.http.requests import parse_question
from services.streaming.http.responses import error_response
from services.streaming.question import (
    INCLUDE_ALL,
    InvalidQuestionError,
    Question,
)

SENTENCE = "a string of 1 to 8,000 characters"
BLANK = f"must not be blank: {SENTENCE}"
LONG = f"is too long: it must be {SENTENCE}"
HALF = "must be whole Unicode characters: half a surrogate pair is none"
BOOLEAN = "must be true or false (in a URL also 1 or 0)"
COUNT = "must be a whole number from 1 to 20"
SESSION = "a string of at most 128 characters"
LONG_SESSION = f"is too long: it must be {SESSION}"
CONTROL = "must not contain control characters"
LIST = "must be a list of any of tokens, sources and usage"
ONE = "must be tokens, sources or usage"
MAP = "must be an object of at most 16 strings"


def refusal(data: object) -> InvalidQuestionError:
    with pytest.raises(InvalidQuestionError) as caught:
        parse_question(data)
    return caught.value


def details(data: object) -> list[tuple[str, str]]:
    return [(fault["field"], fault["message"]) for fault in refusal(data).details]


def test_a_question_alone_has_the_contracts_defaults() -> None:
    """Stateless, five passages, every kind of event."""
    assert parse_question({"query": "x"}) == Question(query="x")
    assert parse_question({"query": "x"}).top_k == 5
    assert parse_question({"query": "x"}).include == INCLUDE_ALL


def test_null_is_the_same_as_absent() -> None:
    """Clients serialise what they have not got as null."""
    nothing = dict.fromkeys(
        ["streaming", "sessionId", "top_k", "topK", "include", "metadata", "anything"]
    )
    assert parse_question({"query": "x", **nothing}) == Question(query="x")


def test_unknown_fields_are_ignored() -> None:
    """A newer client may say more than this server understands."""
    assert parse_question({"query": "x", "model": "m", "__proto__": {}}) == Question(query="x")


def test_any_mapping_will_do() -> None:
    """The facade takes what its caller has."""
    assert parse_question(MappingProxyType({"query": "x"})) == Question(query="x")


@pytest.mark.parametrize(
    ("field", "value", "name", "expected"),
    [
        ("streaming", True, "streaming", True),
        ("streaming", False, "streaming", False),
        ("sessionId", "", "session_id", ""),
        ("sessionId", "a" * 128, "session_id", "a" * 128),
        ("sessionId", "Gespräch 7/ä@b", "session_id", "Gespräch 7/ä@b"),
        ("top_k", 1, "top_k", 1),
        ("topK", 20, "top_k", 20),
        ("include", [], "include", frozenset()),
        ("include", ["usage", "usage"], "include", frozenset({"usage"})),
        ("metadata", {}, "metadata", {}),
        ("metadata", {"": "", "ключ": "\0\u2028"}, "metadata", {"": "", "ключ": "\0\u2028"}),
        ("metadata", {str(n): "" for n in range(16)}, "metadata", {str(n): "" for n in range(16)}),
    ],
)
def test_what_each_field_takes(field: str, value: Any, name: str, expected: Any) -> None:
    """Up to and with the edges of its range."""
    assert getattr(parse_question({"query": "x", field: value}), name) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("x" * 8000, "x" * 8000),
        ("  x\n", "x"),
        (" " * 500 + "x" * 8000, "x" * 8000),
        ("\U0001f5fc" * 8000, "\U0001f5fc" * 8000),
        ("e\u0301", "e\u0301"),
        ("\u202egnp.exe", "\u202egnp.exe"),
        ("a\u2028b\r\nc\x85d", "a\u2028b\r\nc\x85d"),
        ("data: x\n\nid: 7", "data: x\n\nid: 7"),
    ],
)
def test_a_query_is_trimmed_and_otherwise_kept(query: str, expected: str) -> None:
    """Eight thousand characters, whatever they are, after trimming."""
    assert parse_question({"query": query}).query == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, [("query", f"is required: {SENTENCE}")]),
        ({"query": None}, [("query", f"must be {SENTENCE}")]),
        ({"query": 5}, [("query", f"must be {SENTENCE}")]),
        ({"query": ["x"]}, [("query", f"must be {SENTENCE}")]),
        ({"query": ""}, [("query", BLANK)]),
        ({"query": " \t\r\n\u3000\xa0\x85"}, [("query", BLANK)]),
        ({"query": "\u200b\ufeff\u2060"}, [("query", BLANK)]),
        ({"query": "\0"}, [("query", BLANK)]),
        ({"query": "x" * 8001}, [("query", LONG)]),
        ({"query": "a\0b"}, [("query", "must not contain NUL (U+0000)")]),
        ({"query": "\ud83d"}, [("query", HALF)]),
        ({"query": "x", "streaming": "true"}, [("streaming", BOOLEAN)]),
        ({"query": "x", "streaming": 1}, [("streaming", BOOLEAN)]),
        ({"query": "x", "top_k": 0}, [("top_k", COUNT)]),
        ({"query": "x", "top_k": 21}, [("top_k", COUNT)]),
        ({"query": "x", "topK": -1}, [("topK", COUNT)]),
        ({"query": "x", "top_k": 5.0}, [("top_k", COUNT)]),
        ({"query": "x", "top_k": "5"}, [("top_k", COUNT)]),
        ({"query": "x", "top_k": True}, [("top_k", COUNT)]),
        ({"query": "x", "top_k": float("inf")}, [("top_k", COUNT)]),
        ({"query": "x", "top_k": 10**400}, [("top_k", COUNT)]),
        ({"query": "x", "sessionId": 7}, [("sessionId", f"must be {SESSION}")]),
        ({"query": "x", "sessionId": "a" * 129}, [("sessionId", LONG_SESSION)]),
        ({"query": "x", "sessionId": "a\r\nb"}, [("sessionId", CONTROL)]),
        ({"query": "x", "sessionId": "a\u2028b"}, [("sessionId", CONTROL)]),
        ({"query": "x", "sessionId": "\udc00"}, [("sessionId", HALF)]),
        ({"query": "x", "include": "tokens"}, [("include", LIST)]),
        ({"query": "x", "include": {"tokens": True}}, [("include", LIST)]),
        ({"query": "x", "include": ["tokens", "steps"]}, [("include.1", ONE)]),
        ({"query": "x", "include": [None]}, [("include.0", ONE)]),
        ({"query": "x", "metadata": []}, [("metadata", MAP)]),
        ({"query": "x", "metadata": "a=b"}, [("metadata", MAP)]),
        ({"query": "x", "metadata": {str(n): "" for n in range(17)}}, [("metadata", MAP)]),
        ({"query": "x", "metadata": {"a": 1}}, [("metadata.a", "must be a string")]),
        ({"query": "x", "metadata": {"a": {"b": "c"}}}, [("metadata.a", "must be a string")]),
        ({"query": "x", "metadata": {"a": None}}, [("metadata.a", "must be a string")]),
        ({"query": "x", "metadata": {"a": "\ud800"}}, [("metadata.a", HALF)]),
        ({"query": "x", "metadata": {"\ud800": ""}}, [("metadata.\ufffd\ufffd\ufffd", HALF)]),
        ({"query": " ", "top_k": 0}, [("query", BLANK), ("top_k", COUNT)]),
        (None, [("", "must be a JSON object")]),
        ([], [("", "must be a JSON object")]),
        ("x", [("", "must be a JSON object")]),
    ],
)  # fmt: skip
def test_every_refusal_says_what_is_accepted(data: Any, expected: list[tuple[str, str]]) -> None:
    """In words for the person who wrote the client, not in pydantic's."""
    assert details(data) == expected


def test_the_first_fault_is_the_sentence() -> None:
    """`error` is what a client shows; `details` is what a form needs."""
    assert refusal({}).message == "query is required: a string of 1 to 8,000 characters."
    assert refusal(7).message == "The request must be a JSON object."


def test_a_body_full_of_faults_gets_a_short_answer() -> None:
    """Neither the number of faults nor a long name is given back in full."""
    answer = error_response(refusal({"query": "x", "include": [1] * 30_000}))
    assert len(refusal({"query": "x", "include": [1] * 30_000}).details) == DETAILS_LIMIT
    assert len(answer.body) < 4096
    assert len(error_response(refusal({"query": "x", "metadata": {"n" * 60_000: 1}})).body) < 1024


def test_half_a_character_in_a_name_can_still_be_answered() -> None:
    """The answer is UTF-8 even when the name it speaks of is not."""
    answer = error_response(refusal({"query": "x", "metadata": {"\ud800": 1}}))
    assert bytes(answer.body).decode()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=30),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
names = st.sampled_from(
    ["query", "streaming", "sessionId", "top_k", "topK", "include", "metadata", "other"]
)


@settings(deadline=None)
@given(st.dictionaries(names, anything))
def test_any_object_is_a_question_or_a_refusal_in_our_words(data: Mapping[str, Any]) -> None:
    """No JSON object of a stranger ends in anything else."""
    try:
        question = parse_question(data)
    except InvalidQuestionError as error:
        said = bytes(error_response(error).body).decode().lower()
        assert "input should" not in said
        assert "pydantic" not in said
    else:
        assert question.query.strip()
        assert 1 <= question.top_k <= 20
        question.query.encode()
