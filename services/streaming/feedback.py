"""What a reader thinks of an answer: a thumb and a word, kept with the run, for its operator."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from ..errors import RiverrunError
from .app import App, default_app
from .http.responses import JSONAnswer, error_response
from .question import InvalidQuestionError

COMMENT_LIMIT = 500

# What a thumb may say; "" takes back what was said.
RATINGS = ("up", "down", "")


async def handle_feedback(
    run_id: str,
    data: Mapping[str, Any],
    *,
    owner: str | None = None,
    app: App | None = None,
) -> Response:
    """Keep what a reader of a run thinks of it: `rating` and `comment`. The last one counts.

    Who may read the run may rate it, while it is written and for as long as it is kept.
    """
    app = app or default_app()
    try:
        run = await app.log.find(run_id, owner)
        feedback = read_feedback(data)
        await app.log.keep_feedback(run.id, to_json(feedback) if feedback["rating"] else b"")
    except RiverrunError as error:
        return error_response(error)
    return JSONAnswer({"runId": run.id, **feedback})


def read_feedback(data: Mapping[str, Any]) -> dict[str, str]:
    """Return `rating` and `comment` of a request's JSON object; unknown fields are ignored.

    Raises `InvalidQuestionError` with a `field` and a `message` for each fault.
    """
    rating, comment = data.get("rating"), data.get("comment")
    comment = "" if comment is None else comment
    faults: list[dict[str, str]] = []
    if not isinstance(rating, str) or rating not in RATINGS:
        faults.append({"field": "rating", "message": 'must be "up", "down" or ""'})
    if not isinstance(comment, str) or len(comment) > COMMENT_LIMIT or not _is_unicode(comment):
        accepted = f"must be a string of at most {COMMENT_LIMIT} whole characters"
        faults.append({"field": "comment", "message": accepted})
    if faults:
        raise InvalidQuestionError(tuple(faults))
    return {"rating": str(rating), "comment": str(comment).strip() if rating else ""}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
