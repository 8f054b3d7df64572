"""A store at fault says so before a model is paid, and harms nothing that was written."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from services.runs.sqlite.log import SQLiteLog
from services.settings import Settings
from services.streaming import (
    App,
    Question,
    handle_health,
    handle_request,
    handle_streaming_request,
)
from tests.services.runs.dynamodb.test_table import Service, error, service

__all__ = ["service"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def calls() -> list[str]:
    """What was asked of the model."""
    return []


@pytest.fixture
def producer(calls: list[str]) -> Callable[[Question], AsyncIterator[str]]:
    """A model that is counted when it begins to work."""

    async def produce(question: Question) -> AsyncIterator[str]:
        calls.append(question.query)
        yield "paid for"

    return produce


async def expect_refusal(app: App, producer: Any) -> list[dict[str, Any]]:
    """What both modes say; they must refuse with a status, before the first byte."""
    told = []
    for handle in (handle_streaming_request, handle_request):
        response = await handle({"query": "q"}, producer=producer, app=app)
        assert response.media_type == "application/json"
        told.append({"status": response.status_code, **json.loads(bytes(response.body))})
    assert app.live.streams == 0
    return told


def check_private(told: list[dict[str, Any]], *secrets: str) -> None:
    """A client learns nothing of an installation at fault."""
    for one in told:
        assert (one["status"], one["code"], one["retryable"]) == (500, "internal", False)
        assert not any(secret in json.dumps(one) for secret in secrets)


async def test_a_file_that_is_no_database(tmp_path: Path, producer: Any, calls: list[str]) -> None:
    """It is left as it is."""
    file = tmp_path / "runs.sqlite"
    file.write_bytes(b"something else" * 100)
    told = await expect_refusal(App(Settings(log=f"sqlite://{file}")), producer)
    check_private(told, str(tmp_path))
    assert (calls, file.read_bytes()) == ([], b"something else" * 100)


async def test_a_full_disk(
    tmp_path: Path, producer: Any, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is read as before, and when there is room it goes on."""
    monkeypatch.setattr("services.runs.retry.PATIENCE_SECONDS", 0.1)
    app = App(Settings(log=f"sqlite://{tmp_path}/runs.sqlite"))
    kept = await handle_request({"query": "q"}, producer=producer, app=app)
    log = app.log
    assert isinstance(log, SQLiteLog)
    connection = log._file._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    paid, full = -1, kept
    while paid < len(calls):  # the last pages fill up with runs, and then there is no more room
        paid = len(calls)
        full = await handle_request({"query": "x" * 8000}, producer=producer, app=app)
    assert (full.status_code, json.loads(bytes(full.body))["code"]) == (503, "overloaded")
    health = await handle_health(app=app)
    assert health.status_code == 503
    assert str(tmp_path) not in bytes(full.body).decode()
    read = await log.read(kept.headers["x-run-id"], 0)
    assert read[-1].terminal
    connection.execute(f"PRAGMA max_page_count={2**30}")
    again = await handle_request({"query": "q"}, producer=producer, app=app)
    assert (again.status_code, len(calls)) == (200, paid + 1)
    assert await log.read(kept.headers["x-run-id"], 0) == read
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await log.close()


async def test_a_locked_database(tmp_path: Path, producer: Any, calls: list[str]) -> None:
    """503, which may be tried again; then it works."""
    log = SQLiteLog(tmp_path / "runs.sqlite", busy=0.05)
    app = App(log=log)
    with closing(sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for one in await expect_refusal(app, producer):
            assert (one["status"], one["code"], one["retryable"]) == (503, "overloaded", True)
        assert calls == []
        other.execute("ROLLBACK")
    answer = await handle_request({"query": "q"}, producer=producer, app=app)
    assert (answer.status_code, calls) == (200, ["q"])
    await log.close()


@pytest.mark.parametrize(
    "code", ["ResourceNotFoundException", "AccessDeniedException", "UnrecognizedClientException"]
)
async def test_a_missing_table_or_wrong_credentials(
    code: str, service: type[Service], producer: Any, calls: list[str]
) -> None:
    """500 without the table's name or what AWS said."""
    service.script = [error(code)] * 20
    app = App(log=DynamoLog(Table("secret-table")))
    check_private(await expect_refusal(app, producer), "secret", "arn:")
    assert calls == []
    await app.log.close()
