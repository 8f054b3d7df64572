"""The golden frames of the corpus, as the encoders get them."""

import json
from pathlib import Path
from typing import Any

from services.runs import Entry
from services.streaming.encoders import RunInfo

_FRAMES: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "corpus" / "frames.json").read_text(encoding="utf-8")
)
RUN: str = _FRAMES["run"]
RUN_INFO = RunInfo(run_id=RUN)
SILENCE: dict[str, str] = _FRAMES["silence"]
CASES: list[dict[str, Any]] = _FRAMES["cases"]
NAMES = [case["name"] for case in CASES]


def entry_of(case: dict[str, Any]) -> Entry:
    """The entry of a case, as its log keeps it."""
    kind = case["event"]["type"]
    return Entry(case["seq"], kind, case["payload"].encode(), kind in ("final", "error"))
