"""`make cloud` as a person runs it: fakes, ingest, emulator and page, in one command."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.settings import CHAT_PROVIDERS, ROOT

# Each part of the second one is met through the emulator too: `test_models.py` asks its model,
# `tests/services/context/ingest/test_publish.py` fills its index. All of it is in the soak.
PROFILES = [
    ("bedrock", "bedrock", "s3"),
    pytest.param("openai", "openai", "s3vectors", marks=pytest.mark.soak),
]


@contextmanager
def run_command(tmp_path: Path, *arguments: str) -> Iterator[tuple[str, list[str]]]:
    """The command on free ports; gives the page's address and the lines so far."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "oslo.md").write_text("# Oslo\n\nThe Fram Museum in Oslo shows a polar ship.\n")
    (docs / "bergen.md").write_text("# Bergen\n\nIt rains often in Bergen, even in summer.\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "fakes.cloud", "--port", "0", "--docs", docs, *arguments],
        cwd=ROOT,
        env={**os.environ, "RIVERRUN_DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"Riverrun is on (\S+)", line):
                yield found[1], lines
                break
        else:
            raise AssertionError("".join(lines))
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 0, rest
        # Everything it started was of its session, and is gone with it.
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def fetch(url: str, **body: Any) -> str:
    """The whole answer to a request."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


@pytest.mark.parametrize(("chat", "embedding", "index"), PROFILES)
def test_the_deployed_profile_answers_on_this_machine(
    tmp_path: Path, chat: str, embedding: str, index: str
) -> None:
    """Chat, vectors, index and log, each through the client that is deployed."""
    if chat not in CHAT_PROVIDERS:
        pytest.skip(f"there is no chat provider {chat} yet")
    chosen = ("--chat", chat, "--embedding", embedding, "--index", index)
    with run_command(tmp_path, *chosen) as (url, lines):
        assert "is a stand-in" in "".join(lines)
        stream = fetch(f"{url}/api/chat", query="Which museum has a polar ship?", streaming=True)
        events = [json.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: ")]
        assert events[-1]["type"] == "final", events[-1]
        result = events[-1]["result"]
        assert "polar ship" in result["answer"]
        assert result["sources"][0]["uri"] == "oslo.md#oslo"
        assert "".join(one["text"] for one in events if one["type"] == "token") == result["answer"]
        # Another function, in another process, reads it from the table.
        run = f"{url}/api/chat/runs/{result['runId']}"
        assert json.loads(fetch(run))["result"]["answer"] == result["answer"]
        assert fetch(f"{run}/events?after=0") == stream
        assert json.loads(fetch(f"{url}/api/health"))["status"] == "ok"
