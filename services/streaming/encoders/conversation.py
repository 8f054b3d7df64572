"""A conversation as clients send it: messages in, one question and the turns before it out.

The history is the client's, so a message that was edited, or an answer that was asked for again,
is simply another history. It is a stranger's word: what it calls system or developer is passed
over, and only the last turns are used. A question that is no text is refused. What is no text
before it was another model's to read (a chat may change its model): it is passed over, or every
further question of that chat would be refused for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..question import InvalidQuestionError

MESSAGES_LIMIT = 500
TURNS_LIMIT = 12
ANSWER_LIMIT = 8_000
"""Characters of an earlier answer that are kept: the model is given its beginning."""

_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})
_PASSED_OVER = frozenset({"system", "developer", "activity", "reasoning"})
_TOOLS = frozenset({"tool", "function"})


class ChatMessage(NamedTuple):
    """One message: who said it, and its text."""

    role: str
    text: str


class Conversation(NamedTuple):
    """What a client asks: the question, and the (question, answer) turns before it."""

    query: str
    history: tuple[tuple[str, str], ...]


def refuse(field: str, message: str) -> InvalidQuestionError:
    """Return an error that names the field of the request it is about."""
    return InvalidQuestionError(({"field": field, "message": message},))


def read_messages(document: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """Return a field that is a list of objects. Raises `InvalidQuestionError` when it is none."""
    value = document.get(field)
    if not isinstance(value, list) or not value or len(value) > MESSAGES_LIMIT:
        raise refuse(field, f"must be a list of 1 to {MESSAGES_LIMIT} messages")
    if not all(isinstance(item, Mapping) for item in value):
        raise refuse(field, "must hold objects")
    return value


def read_parts(content: Any, field: str, *, is_question: bool) -> str:
    """Return the text of a message's content: a string, or a list of text parts.

    Raises `InvalidQuestionError` for a part of the question that is no text; elsewhere it is
    passed over.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise refuse(field, "must be a string or a list of parts")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        is_text = isinstance(kind, str) and kind in _TEXT_PARTS
        text = (part.get("text") or part.get("refusal")) if is_text else None
        if isinstance(text, str):
            texts.append(text)
        elif is_question:
            raise refuse(field, f"has a part of the type {kind!r}; only text is read here")
    return "\n".join(texts)


def read_said(items: Sequence[Mapping[str, Any]], field: str) -> list[ChatMessage]:
    """Return messages of a `role` and a `content`, of which the last is the question."""
    return [
        ChatMessage(
            str(item.get("role")),
            read_parts(item.get("content"), field, is_question=item is items[-1]),
        )
        for item in items
    ]


def read_conversation(messages: Iterable[ChatMessage], field: str) -> Conversation:
    """Return the last message as the question, what is before it as turns, the oldest first.

    Raises `InvalidQuestionError` when the last one is not the user's.
    """
    said = [message for message in messages if message.role not in _PASSED_OVER]
    # What a tool gave before the question was for another model; after it, it asks for more.
    said = [message for message in said[:-1] if message.role not in _TOOLS] + said[-1:]
    for message in said:
        if message.role not in ("user", "assistant", *_TOOLS):
            raise refuse(field, f"has a message of the role {message.role!r}, which is not read")
    if not said or said[-1].role != "user":
        raise refuse(field, "must end with a message of the user")
    turns: list[tuple[str, str]] = []
    question, answer = "", ""
    for message in said:
        if message.role != "user":
            # One that only called a tool says nothing; what follows belongs to the same answer.
            answer = "\n\n".join(text for text in (answer, message.text.strip()) if text)
            continue
        if question and answer:
            turns.append((question, answer[:ANSWER_LIMIT]))
        question, answer = message.text, ""
    return Conversation(question, tuple(turns[-TURNS_LIMIT:]))
