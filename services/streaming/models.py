"""The edge where strangers' JSON comes in: the request, checked by pydantic.

Inside the house a question is the light `Question`; this module is the way from one to the
other. docs/contract.md, section 2, has the rules.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
)
from pydantic_core import to_json

from services.errors import RiverrunError

QUERY_LIMIT = 8000
SESSION_LIMIT = 128
METADATA_LIMIT = 16

# A body of 64 KiB has room for thousands of faults; nobody reads more than a few.
MOST_DETAILS = 20
_LONGEST_NAME = 100

Include = Literal["tokens", "sources", "usage"]
INCLUDE_ALL: frozenset[Include] = frozenset({"tokens", "sources", "usage"})


def kept_question(question: "Question") -> bytes:
    """What the log keeps of a question, as JSON: enough to know, and to go on answering, it."""
    kept = {
        "query": question.query,
        "sessionId": question.session_id,
        "top_k": question.top_k,
        "include": sorted(question.include),
        "metadata": question.metadata,
    }
    return to_json(kept)


class InvalidQuestionError(RiverrunError):
    """The request was understood and is not acceptable; `details` names the fields."""

    code = "validation_error"

    def __init__(self, details: tuple[Mapping[str, str], ...]) -> None:
        first = details[0]
        super().__init__(f"{first['field'] or 'The request'} {first['message']}.")
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asked, and how they want to be answered.

    `streaming` is None when the request left it to its `Accept` header. `session_id` None means
    no memory, "" a new session. `seconds_left` is what the platform still gives this invocation.
    """

    query: str
    streaming: bool | None = None
    session_id: str | None = None
    top_k: int = 5
    include: frozenset[Include] = INCLUDE_ALL
    metadata: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    idempotency_key: str | None = None
    dialect: str = "native"
    seconds_left: float | None = None


def _visible(value: str) -> str:
    # Format characters too: a zero-width space alone asks nothing.
    if all(unicodedata.category(character) in _UNSEEN for character in value):
        raise ValueError("must not be blank: " + _ACCEPTED["query"])
    if "\0" in value:
        raise ValueError("must not contain NUL (U+0000)")
    return value


def _one_line(value: str) -> str:
    if any(unicodedata.category(character) in _BREAKING for character in value):
        raise ValueError("must not contain control characters")
    return value


def _whole(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(_HALF) from None
    return value


Text = Annotated[StrictStr, AfterValidator(_whole)]

_HALF = "must be whole Unicode characters: half a surrogate pair is none"
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_BREAKING = frozenset({"Cc", "Zl", "Zp"})

_ACCEPTED: Mapping[str, str] = {
    "query": f"a string of 1 to {QUERY_LIMIT:,} characters",
    "streaming": "true or false (in a URL also 1 or 0)",
    "sessionId": f"a string of at most {SESSION_LIMIT} characters",
    "top_k": "a whole number from 1 to 20",
    "topK": "a whole number from 1 to 20",
    "include": "a list of any of tokens, sources and usage",
    "metadata": f"an object of at most {METADATA_LIMIT} strings",
}
"""What each field may be, in the words that a refusal ends with."""


class ChatRequest(BaseModel):
    """The body of a request (JSON), or its query parameters with the same names."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    query: Annotated[
        StrictStr,
        StringConstraints(strip_whitespace=True, max_length=QUERY_LIMIT),
        AfterValidator(_visible),
    ]
    streaming: StrictBool | None = None
    session_id: Annotated[
        Annotated[StrictStr, StringConstraints(max_length=SESSION_LIMIT), AfterValidator(_one_line)]
        | None,
        Field(alias="sessionId"),
    ] = None
    top_k: Annotated[
        Annotated[StrictInt, Field(ge=1, le=20)] | None,
        Field(validation_alias=AliasChoices("top_k", "topK")),
    ] = None
    include: tuple[Include, ...] | None = None
    metadata: Annotated[dict[Text, Text], Field(max_length=METADATA_LIMIT)] | None = None

    def question(self, **known: Any) -> Question:
        """As the rest of the house has it; `known` is what only the caller knows."""
        return Question(
            query=self.query,
            streaming=self.streaming,
            session_id=self.session_id,
            top_k=5 if self.top_k is None else self.top_k,
            include=INCLUDE_ALL if self.include is None else frozenset(self.include),
            metadata=self.metadata or {},
            **known,
        )


def parse_question(data: object, **known: Any) -> Question:
    """Check `data` against the contract.

    Raises `InvalidQuestionError` with a `field` and a `message` for each fault.
    """
    try:
        return ChatRequest.model_validate(data).question(**known)
    except ValidationError as error:
        raise InvalidQuestionError(tuple(_details(error))) from error


def _details(error: ValidationError) -> list[dict[str, str]]:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        {
            "field": ".".join(
                str(part)[:_LONGEST_NAME] for part in fault["loc"] if part != "[key]"
            ),
            "message": _message(fault["type"], fault["msg"], fault["loc"]),
        }
        for fault in faults[:MOST_DETAILS]
    ]


def _message(kind: str, message: str, where: tuple[int | str, ...]) -> str:
    # Our own words, which read on from the field's name; pydantic's speak of Python.
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "string_unicode":
        return _HALF
    accepted = _accepted(where)
    if kind == "missing":
        return f"is required: {accepted}"
    if kind == "string_too_long":
        return f"is too long: it must be {accepted}"
    return f"must be {accepted}"


def _accepted(where: tuple[int | str, ...]) -> str:
    if not where:
        return "a JSON object"
    field = str(where[0])
    if len(where) == 1:
        return _ACCEPTED[field]
    return "tokens, sources or usage" if field == "include" else "a string"
