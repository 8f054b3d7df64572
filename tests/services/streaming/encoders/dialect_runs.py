"""Whole runs and their bytes in each dialect with state: tests/corpus/dialects.json.

`python -m tests.services.streaming.encoders.dialect_runs` writes the bytes anew from the events.
What changes is then read in the diff, and tried with the published clients.
"""

import json
from pathlib import Path
from typing import Any

from services.runs import Entry
from services.streaming.encoders import RunInfo, find_dialect

PATH = Path(__file__).parents[3] / "corpus" / "dialects.json"
DIALECTS = ("openai_chat", "openai_responses", "ai_sdk", "ag_ui")
RUN_INFO = RunInfo(
    run_id="0123456789abcdef0123456789abcdef",
    created=1767225600.25,
    model="riverrun",
    names={"threadId": "thread-1", "runId": "run-1", "messageId": "message-1"},
    options={"include_usage": True},
)
RUNS: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))["runs"]
NAMES = [run["name"] for run in RUNS]


def entries_of(run: dict[str, Any]) -> list[Entry]:
    """The entries of a run as its log keeps them; a last event marked `unstored` has no number."""
    entries = []
    for seq, event in enumerate(run["events"], 1):
        payload = json.dumps(event["event"], ensure_ascii=False, separators=(",", ":")).encode()
        kind = event["event"]["type"]
        number = 0 if event.get("unstored") else seq
        entries.append(Entry(number, kind, payload, kind in ("final", "error")))
    return entries


def encode(dialect: str, run: dict[str, Any], run_info: RunInfo = RUN_INFO) -> list[bytes]:
    """The frames of each entry of a run."""
    encoder = find_dialect(dialect).encoder(run_info)
    return [encoder(entry) for entry in entries_of(run)]


if __name__ == "__main__":
    for one in RUNS:
        one["bytes"] = {name: [frame.decode() for frame in encode(name, one)] for name in DIALECTS}
    PATH.write_text(json.dumps({"runs": RUNS}, ensure_ascii=False, indent=1) + "\n", "utf-8")
