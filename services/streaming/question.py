"""A question, as the house has it: light, and checked at the edge before it gets here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_core import to_json

from services.errors import RiverrunError

Include = Literal["tokens", "sources", "usage"]
INCLUDE_ALL: frozenset[Include] = frozenset({"tokens", "sources", "usage"})


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


def parse_question(data: object, **known: Any) -> Question:
    """Check `data`, the JSON of a body or query parameters of the same names.

    `known` is what only the caller knows. Raises `InvalidQuestionError` with a `field` and a
    `message` for each fault.
    """
    # When the first question comes: pydantic's models are half of what a cold start would pay.
    from services.streaming.models import read_request

    return Question(**read_request(data), **known)


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
