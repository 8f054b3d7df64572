"""Another's run at every door of the functions: the same answer, by the same calls, as none."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.web import FunctionRoutes
from services.runs.memory import MemoryLog
from services.settings import Settings
from services.streaming import App, set_default_app
from tests.functions.asgi import call
from tests.services.runs.conformance import final

pytestmark = pytest.mark.anyio

MISSING = "0" * 32
QUESTION = b'{"query": "Is there one?"}'
JSON = ("Content-Type", "application/json")
END = {
    "type": "final",
    "result": {
        "answer": "Yes.", "success": True, "finishReason": "stop", "steps": [], "toolsUsed": [],
        "sources": [], "executionTimeMs": 1, "sessionId": None, "model": "m", "metadata": {},
        "runId": "r",
    },
}  # fmt: skip
DOORS = [
    ("GET", "/api/chat/runs/{run}", None),
    ("GET", "/api/chat/runs/{run}/events?after=1", None),
    ("GET", "/api/chat/runs/{run}/events?after=999", None),
    ("GET", "/api/chat/runs/{run}/events?resume=1", None),
    ("GET", "/api/chat?lastEventId={run}-1", None),
    ("POST", "/api/chat/runs/{run}/stop", {}),
    ("POST", "/api/chat/runs/{run}/token", {}),
    ("POST", "/api/chat/runs/{run}/feedback", {"rating": "up"}),
    ("DELETE", "/api/chat/runs/{run}", None),
    ("GET", "/v1/responses/resp_{run}", None),
    ("GET", "/v1/responses/resp_{run}?stream=true&starting_after=1", None),
    ("POST", "/v1/responses/resp_{run}/cancel", {}),
    ("GET", "/api/ui/runs/{run}/stream", None),
]


class WatchedLog(MemoryLog):
    """A log that notes what it is asked, without the id."""

    def __init__(self) -> None:
        super().__init__(is_durable=True)
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        """Note a method of the log's own that is looked up to be called."""
        found = super().__getattribute__(name)
        if not name.startswith("_") and callable(found):
            self.calls.append(name)
        return found


@pytest.fixture
def app() -> Iterator[App]:
    app = App(replace(Settings(), api_keys=("alpha", "beta")), log=WatchedLog())
    set_default_app(app)
    yield app
    set_default_app(None)


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_anothers_run_looks_like_none(app: App, method: str, path: str, body: object) -> None:
    """Live or ended: status, headers, bytes, and what the log was asked."""
    assert isinstance(app.log, WatchedLog)
    log, routes = app.log, FunctionRoutes()

    async def ask(run: str, key: str) -> tuple[Any, ...]:
        log.calls.clear()
        headers = [("Authorization", f"Bearer {key}"), JSON]
        data = [] if body is None else [json.dumps(body).encode()]
        got = await call(routes, path.format(run=run), method=method, headers=headers, body=data)
        return got.status, got.headers, got.body, tuple(log.calls)

    owner = (await app.access.identify("alpha")).owner
    ended, _ = await log.start(owner=owner, key=None, fingerprint="f", question=QUESTION)
    await log.append(ended.id, [final(1)._replace(payload=json.dumps(END).encode())])
    live, _ = await log.start(owner=owner, key=None, fingerprint="f", question=QUESTION)
    none = await ask(MISSING, "beta")
    assert none[0] == 404
    assert none[3]
    assert await ask(ended.id, "beta") == await ask(live.id, "beta") == none
    # And the door is one: who owns the run gets another answer.
    assert (await ask(ended.id, "alpha"))[0] != 404
