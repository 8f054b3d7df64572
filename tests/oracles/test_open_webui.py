"""Open WebUI itself, from its package: what its page is told of an answer, and what it keeps.

Its parser of a chat completion is a closure in its server, so its server is run: it takes a minute
to start, which is why this is among the long runs. `tests/oracles/open_webui/install` installs it.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functions.serving import run_server
from tests.oracles.open_webui.server import BIN, HERE, IS_INSTALLED, run_open_webui

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        not IS_INSTALLED, reason="Open WebUI is not installed: tests/oracles/open_webui/install"
    ),
]

SCRIPT = [
    {"when": "fails late", "steps": [{"text": "Half"}, {"error": "provider_error"}]},
    {"when": "fails early", "steps": [{"error": "provider_error"}]},
    {"when": "*", "steps": [{"text": "Four "}, {"text": "crowns [1]."}]},
]


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Open WebUI in front of `make serve` with a scripted model."""
    home = tmp_path_factory.mktemp("open-webui")
    (home / "script.json").write_text(json.dumps(SCRIPT))
    environ = {
        "PORT": "0",
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(home / "script.json"),
        "RIVERRUN_LOG": "sqlite://",
        "RIVERRUN_DATA_DIR": str(home / "data"),
    }
    with run_server(environ) as server, run_open_webui(server.url, home) as url:
        yield url


def ask(url: str, query: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What the page is told, event by event, and the message as it is kept."""
    command = [str(BIN / "python"), str(HERE / "ask.py"), url, query]
    told = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert told.returncode == 0, told.stderr
    *events, kept = map(json.loads, told.stdout.splitlines())
    return events, kept["data"]


def test_statuses_and_sources_are_shown_before_the_words_and_are_kept(webui: str) -> None:
    """Each status while it lasts; the sources as citations with their text."""
    events, kept = ask(webui, "What?")
    kinds = [event["type"] for event in events]
    statuses = [event["data"] for event in events if event["type"] == "status"]
    assert [status["done"] for status in statuses].count(False) >= 2
    assert statuses[-1]["done"]
    words = next(i for i, event in enumerate(events) if "Four" in json.dumps(event))
    assert kinds.index("status") < kinds.index("source") < words
    assert kept["content"] == "Four crowns [1]."
    assert kept["statusHistory"] == statuses
    assert all(source["document"][0] and source["source"]["name"] for source in kept["sources"])
    assert "error" not in kept


@pytest.mark.parametrize(("query", "text"), [("fails late", "Half"), ("fails early", "")])
def test_no_failure_looks_like_an_answer(webui: str, query: str, text: str) -> None:
    """It is told as an error, and kept as one beside what was said."""
    events, kept = ask(webui, query)
    failures = [e["data"]["error"] for e in events if (e.get("data") or {}).get("error")]
    assert failures[-1]["code"] == "provider_error"
    assert kept["error"]["content"]["message"] == failures[-1]["message"]
    assert kept["content"] == text
