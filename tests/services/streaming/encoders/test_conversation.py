"""A history that other models wrote does not spoil the chat that it comes from."""

from typing import Any

import pytest

from services.streaming.encoders import find_dialect
from services.streaming.question import InvalidQuestionError

IMAGE = {"type": "image_url", "image_url": {"url": "data:,x"}}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "It rains."}
BEFORE: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]},
    {"role": "assistant", "content": "A tower."},
    {"role": "user", "content": "And the weather?"},
    CALL,
    RESULT,
    {"role": "assistant", "content": "Rain."},
]
TURNS = (("What is this?", "A tower."), ("And the weather?", "Rain."))
BODIES = {"openai_chat": "messages", "openai_responses": "input", "ag_ui": "messages"}

every_dialect = pytest.mark.parametrize("dialect", BODIES)


def parse(dialect: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    parse_request = find_dialect(dialect).parse_request
    assert parse_request is not None
    return parse_request({BODIES[dialect]: messages, "threadId": "t", "runId": "r"})


@every_dialect
def test_images_and_tools_before_the_question_are_passed_over(dialect: str) -> None:
    """Or a chat in which another model was shown a picture could ask nothing here, ever."""
    fields = parse(dialect, [*BEFORE, {"role": "user", "content": "When was it built?"}])
    assert fields["query"] == "When was it built?"
    assert fields["history"] == TURNS


@every_dialect
def test_an_answer_in_parts_is_one_and_one_without_a_word_is_none(dialect: str) -> None:
    """What was said around a tool's call, and the place that a failed answer leaves empty."""
    said = {"role": "assistant", "content": "I shall look."}
    failed = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": ""}]
    messages = [*BEFORE[:3], said, *BEFORE[3:], *failed, {"role": "user", "content": "Well?"}]
    assert parse(dialect, messages)["history"] == (
        TURNS[0],
        ("And the weather?", "I shall look.\n\nRain."),
    )


@every_dialect
@pytest.mark.parametrize("content", [[IMAGE], [{"type": "text", "text": "This?"}, IMAGE]])
def test_a_question_with_more_than_text_is_refused(dialect: str, content: Any) -> None:
    """Rather than answered without what it asks about."""
    with pytest.raises(InvalidQuestionError, match="only text"):
        parse(dialect, [*BEFORE, {"role": "user", "content": content}])


@every_dialect
@pytest.mark.parametrize("last", [RESULT, CALL, BEFORE[1]])
def test_a_conversation_that_ends_with_no_question_is_refused(
    dialect: str, last: dict[str, Any]
) -> None:
    """The answer to a tool's call, too: no tool was called here."""
    with pytest.raises(InvalidQuestionError, match="end with a message of the user"):
        parse(dialect, [*BEFORE, last])


def test_items_of_responses_that_are_no_messages_are_passed_over() -> None:
    """Thoughts and calls of another model, which a client sends back as they came."""
    items: list[dict[str, Any]] = [
        {"role": "user", "content": "Where is Paris?"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "France"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "In France.", "annotations": []}],
        },
    ]
    fields = parse("openai_responses", [*items, {"role": "user", "content": "And Rome?"}])
    assert (fields["query"], fields["history"]) == (
        "And Rome?",
        (("Where is Paris?", "In France."),),
    )
    with pytest.raises(InvalidQuestionError, match="end with a message"):
        parse("openai_responses", items[:4])


ASKED = {"messages": [{"role": "user", "content": "Well?"}]}


@pytest.mark.parametrize(
    ("dialect", "document", "field"),
    [
        ("openai_chat", {**ASKED, "modalities": ["text", "audio"]}, "modalities"),
        ("openai_chat", {**ASKED, "response_format": {"type": "json_object"}}, "response_format"),
        ("openai_responses", {"input": "Well?", "conversation": "conv_1"}, "previous_response_id"),
        ("openai_responses", {"input": "Well?", "prompt": {"id": "pmpt_1"}}, "prompt"),
        ("openai_responses", {"input": "Well?", "background": True}, "background"),
        ("openai_chat", {"messages": [{"role": "user", "content": [{"type": ["text"]}]}]}, "text"),
        ("openai_responses", {"input": [{"role": "user", "content": [{"type": {}}]}]}, "text"),
    ],
)
def test_what_would_change_the_answer_is_refused_with_a_sentence(
    dialect: str, document: dict[str, Any], field: str
) -> None:
    """Rather than passed over, which would look as if it had been done; no type is a surprise."""
    parse_request = find_dialect(dialect).parse_request
    assert parse_request is not None
    with pytest.raises(InvalidQuestionError, match=field):
        parse_request(document)


@pytest.mark.parametrize("text", ["plain", ["plain"], {"format": "plain"}, None, 7])
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_a_format_of_any_shape_is_no_surprise(dialect: str, text: Any) -> None:
    """Strangers write what they like where an object is meant."""
    parse_request = find_dialect(dialect).parse_request
    assert parse_request is not None
    document = {**ASKED, "input": "Well?", "text": text, "response_format": text, "model": None}
    fields = parse_request(document)
    assert (fields["query"], fields["names"]) == ("Well?", {"model": "riverrun"})
