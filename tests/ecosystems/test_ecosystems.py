"""The published clients of other ecosystems, unmodified, against the served functions."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.functions.serving import Server, run_server

HERE = Path(__file__).parent
NODE = HERE / "node_modules" / "node" / "bin" / "node"
SUITES = sorted(path.name for path in HERE.glob("*.test.mjs"))

SCRIPT = [
    {"when": "fails late", "steps": [{"text": "Half"}, {"error": "provider_error"}]},
    {"when": "fails early", "steps": [{"error": "provider_error"}]},
    {"when": "hangs", "steps": [{"text": "So far"}, {"hang": True}]},
    {
        "when": "*",
        "steps": [
            {"text": "Four "},
            {"text": "crowns [1]."},
            {"usage": {"inputTokens": 9, "outputTokens": 4}},
        ],
    },
]


@pytest.fixture(scope="module", params=["functions", "emulator"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """`make serve`, then `make dev`, each with a scripted model."""
    home = tmp_path_factory.mktemp("ecosystems")
    (home / "script.json").write_text(json.dumps(SCRIPT))
    environ = {
        "PORT": "0",
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(home / "script.json"),
        "RIVERRUN_LOG": "sqlite://",
        "RIVERRUN_DATA_DIR": str(home / "data"),
    }
    with run_server(environ, request.param) as running:
        yield running


@pytest.mark.node
@pytest.mark.parametrize("suite", SUITES)
def test_its_own_client_is_content(suite: str, server: Server) -> None:
    """Answers, failures, stops, cuts and resumes, as the client's own users meet them."""
    if not NODE.exists():
        pytest.skip("The clients are not installed: npm ci --prefix tests/ecosystems")
    run = subprocess.run(
        (str(NODE), "--test", "--test-reporter=spec", suite),
        cwd=HERE,
        env=os.environ | {"RIVERRUN_URL": server.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_documented_fetch_is_the_one_that_is_tested() -> None:
    """The snippet of docs/ag-ui.md, to the letter."""
    manual = (ROOT / "docs" / "ag-ui.md").read_text()
    snippet = re.search(r"```js\n(export function resumableFetch.+?)```", manual, re.DOTALL)
    assert snippet is not None
    assert snippet[1] in (HERE / "resumable_fetch.mjs").read_text()
