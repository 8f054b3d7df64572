"""The edge where strangers' JSON comes in: the request, checked by pydantic.

Inside the house a question is the light `Question`; this module is the way there, imported when
the first one comes. docs/contract.md has the rules.
"""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

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

from ..question import Include, InvalidQuestionError

QUERY_LIMIT = 8000
SESSION_LIMIT = 128
METADATA_LIMIT = 16

# A body of 64 KiB has room for thousands of faults; people read no more than a few.
DETAILS_LIMIT = 20
_NAME_LIMIT = 100


def _check_visible(value: str) -> str:
    # Format characters too: a zero-width space alone asks nothing.
    if all(unicodedata.category(character) in _UNSEEN for character in value):
        raise ValueError("must not be blank: " + _ACCEPTED["query"])
    if "\0" in value:
        raise ValueError("must not contain NUL (U+0000)")
    return value


def _check_one_line(value: str) -> str:
    if any(unicodedata.category(character) in _BREAKING for character in value):
        raise ValueError("must not contain control characters")
    return value


def _check_unicode(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(_HALF) from None
    return value


Text = Annotated[StrictStr, AfterValidator(_check_unicode)]

_HALF = "must be whole Unicode characters: half a surrogate pair is none"
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_BREAKING = frozenset({"Cc", "Zl", "Zp"})

_ACCEPTED: Mapping[str, str] = {
    "query": f"a string of 1 to {QUERY_LIMIT:,} characters",
    "streaming": "true or false (in a URL also 1 or 0)",
    "resume": "true or false (in a URL also 1 or 0)",
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
        AfterValidator(_check_visible),
    ]
    streaming: StrictBool | None = None
    resume: StrictBool | None = None
    session_id: Annotated[
        Annotated[
            StrictStr, StringConstraints(max_length=SESSION_LIMIT), AfterValidator(_check_one_line)
        ]
        | None,
        Field(alias="sessionId"),
    ] = None
    top_k: Annotated[
        Annotated[StrictInt, Field(ge=1, le=20)] | None,
        Field(validation_alias=AliasChoices("top_k", "topK")),
    ] = None
    include: tuple[Include, ...] | None = None
    metadata: Annotated[dict[Text, Text], Field(max_length=METADATA_LIMIT)] | None = None


def read_request(data: object) -> dict[str, Any]:
    """Return the fields of a `Question` that `data` sets; null counts as absent.

    Raises `InvalidQuestionError` with a `field` and a `message` for each fault.
    """
    try:
        request = ChatRequest.model_validate(data)
    except ValidationError as error:
        raise InvalidQuestionError(tuple(_details(error))) from error
    fields = {name: getattr(request, name) for name in type(request).model_fields}
    if request.include is not None:
        fields["include"] = frozenset(request.include)
    return {name: value for name, value in fields.items() if value is not None}


def _details(error: ValidationError) -> list[dict[str, str]]:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        {
            "field": ".".join(str(part)[:_NAME_LIMIT] for part in fault["loc"] if part != "[key]"),
            "message": _message(fault["type"], fault["msg"], fault["loc"]),
        }
        for fault in faults[:DETAILS_LIMIT]
    ]


def _message(kind: str, message: str, where: tuple[int | str, ...]) -> str:
    # Our own words, which read on from the field's name; pydantic's speak of Python.
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "string_unicode":
        return _HALF
    accepted = _describe_accepted(where)
    if kind == "missing":
        return f"is required: {accepted}"
    if kind == "string_too_long":
        return f"is too long: it must be {accepted}"
    return f"must be {accepted}"


def _describe_accepted(where: tuple[int | str, ...]) -> str:
    if not where:
        return "a JSON object"
    field = str(where[0])
    if len(where) == 1:
        return _ACCEPTED[field]
    return "tokens, sources or usage" if field == "include" else "a string"
