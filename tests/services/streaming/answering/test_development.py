"""In development the client hears what went wrong in one's own code; elsewhere it does not."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.settings import Settings
from services.streaming import App, Question, handle_request

pytestmark = pytest.mark.anyio


async def _fail(question: Question) -> AsyncIterator[str]:
    yield "So far"
    raise ZeroDivisionError(f"{question.query} divided by nothing")


@pytest.mark.parametrize("is_shown", [True, False])
async def test_an_error_of_ones_own_code_is_told_in_development(
    is_shown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """With its line; the log has the traceback of the error itself either way."""
    app = App(Settings(log="memory://", show_errors=is_shown))
    reply = await handle_request({"query": "one"}, producer=_fail, app=app)
    error: dict[str, Any] = json.loads(bytes(reply.body))
    assert (reply.status_code, error["code"]) == (500, "internal")
    said = "ZeroDivisionError: one divided by nothing (tests/services/streaming/answering"
    assert error["error"].startswith(said) is is_shown
    assert ("divided" in json.dumps(error)) is is_shown
    (record,) = [one for one in caplog.records if one.exc_info]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
