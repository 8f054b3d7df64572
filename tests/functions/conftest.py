"""A real server with a small index and a script, one for each test process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.context.__main__ import main as ingest
from tests.functions.serving import Server, run_server

PARIS = """# Paris

The Louvre holds the Mona Lisa, and the Eiffel Tower is lit every evening.
Both are among the best attractions in Paris.
"""

FAILURES = [
    "provider_throttled", "provider_error", "provider_timeout", "provider_truncated",
    "content_filtered", "context_too_long",
]  # fmt: skip

SCRIPT = [
    {"when": "count to a hundred", "steps": [{"text": f"{n} "} for n in range(1, 101)]},
    {"when": "hang", "steps": [{"hang": True}]},
    {"when": "one word", "steps": [{"text": "One "}, {"hang": True}]},
    {"when": "break off", "steps": [{"text": "Half an "}, {"endWithoutStop": True}]},
    {"when": "fail late", "steps": [{"text": "Half an "}, {"error": "ThrottlingException"}]},
    *({"when": f"fail with {code}", "steps": [{"error": code}]} for code in FAILURES),
    {"when": "wait", "steps": [{"waitMs": 300}, {"text": "Done."}]},
    {"when": "*", "steps": [{"text": "The Louvre, "}, {"text": "é\U0001f5fc."}]},
]


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of one document."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "paris.md").write_text(PARIS, encoding="utf-8")
    made = tmp_path_factory.mktemp("made") / "index"
    assert ingest([str(folder), "--index", str(made)]) == 0
    return made


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scripted provider plays."""
    file = tmp_path_factory.mktemp("script") / "script.json"
    file.write_text(json.dumps(SCRIPT), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def environ(index: Path, script: Path) -> dict[str, str]:
    """The settings of a server for tests."""
    return {
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_LOG": "memory://",
        "PORT": "0",
    }


@pytest.fixture(scope="session")
def server(environ: dict[str, str]) -> Iterator[Server]:
    """`python -m functions`, as `make dev` runs it."""
    with run_server(environ) as running:
        yield running


@pytest.fixture(scope="session")
def keyed_server(environ: dict[str, str]) -> Iterator[Server]:
    """The same with keys, as a public installation has them."""
    with run_server({**environ, "RIVERRUN_API_KEYS": "alpha,beta"}) as running:
        yield running
