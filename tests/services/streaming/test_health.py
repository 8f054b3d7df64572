"""Readiness: every part is opened, none is asked, and no cause leaves the process."""

import logging
from typing import Any

import pytest

from services.errors import SetupError
from services.passages import Passage
from services.settings import Settings
from services.streaming import handle_health
from services.streaming.app import App
from tests.functions.asgi import call

CANARY = "canary-55 /var/index"


class StubContext:
    """A context that can be looked at."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    async def retrieve(self, *_: Any, **__: Any) -> tuple[Passage, ...]:
        """Find nothing."""
        return ()

    async def check(self) -> None:
        """Raise what is wrong with it."""
        if self.fault is not None:
            raise self.fault


@pytest.mark.anyio
async def test_a_process_whose_parts_open_is_ready() -> None:
    """200, and each part by name."""
    answer = await call(await handle_health(app=App(context=StubContext())))
    assert answer.status == 200
    assert answer.json() == {
        "status": "ok",
        "host": "server",
        "checks": {"runs": "ok", "context": "ok", "chat": "ok"},
    }


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [SetupError(CANARY), OSError(CANARY)])
async def test_a_part_that_does_not_open_is_named_and_nothing_more(
    fault: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After; the log has the cause."""
    app = App()

    def raise_error(_settings: Settings) -> object:
        raise fault

    monkeypatch.setattr("services.context.open_context", raise_error)
    with caplog.at_level(logging.ERROR, "riverrun"):
        answer = await call(await handle_health(app=app))
    assert answer.status == 503
    assert int(answer.header("Retry-After") or "0") > 0
    assert answer.json()["status"] == "unavailable"
    assert answer.json()["checks"] == {"runs": "ok", "context": "unavailable", "chat": "ok"}
    assert "canary" not in answer.body.decode()
    assert CANARY in caplog.text


@pytest.mark.anyio
async def test_a_distant_index_that_is_not_there_is_not_ready() -> None:
    """It opens without a look at it, so it is looked at."""
    app = App(context=StubContext(SetupError(CANARY)))
    answer = await call(await handle_health(app=app))
    assert answer.status == 503
    assert answer.json()["checks"] == {"runs": "ok", "context": "unavailable", "chat": "ok"}
    assert "canary" not in answer.body.decode()
