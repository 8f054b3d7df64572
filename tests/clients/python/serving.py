"""The product under the emulator, as `make dev` runs it, with a model that says what it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from emulator.faults import Fault
from services.settings import ROOT
from tests.emulator.support import RunningCloud, run_cloud

WORDS = [f"word {n} " for n in range(1, 13)]
ANSWER = "".join(WORDS)

SCRIPT: list[dict[str, Any]] = [
    {"when": "hang", "steps": [{"text": "One "}, {"hang": True}]},
    {"when": "fail", "steps": [{"text": "Half an "}, {"error": "ThrottlingException"}]},
    {
        "when": "escape",
        "steps": [{"text": "\x1b[31mred\x1b[0m \x1b]0;owned\x07 \x9b2J \x1b]8;;http://e\x1b\\x"}],
    },
    {"when": "slowly", "steps": [part for n in WORDS for part in ({"text": n}, {"waitMs": 60})]},
    {"when": "*", "steps": [{"text": word} for word in WORDS]},
]


@dataclass
class Product:
    """What runs."""

    cloud: RunningCloud

    @property
    def url(self) -> str:
        """The Netlify front."""
        return self.cloud.url("netlify")

    def break_with(self, **fault: Any) -> None:
        """A fault for the next question through that front."""
        self.cloud.break_with(Fault(**{"front": "netlify", "path": "/api/chat*", **fault}))

    def mend(self) -> None:
        """No fault is left in force."""
        self.cloud.call(self.cloud.cloud.faults.clear)

    def state(self, run_id: str) -> dict[str, Any]:
        """What the server knows of a run."""
        answer = httpx2.get(f"{self.url}/api/chat/runs/{run_id}", trust_env=False)
        known: dict[str, Any] = answer.json()
        return known


@contextmanager
def product(folder: Path) -> Iterator[Product]:
    """The real template, a scripted model, and a log on disk that both functions see."""
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT), encoding="utf-8")
    environ = {
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_LOG": f"sqlite:///{folder / 'runs.db'}",
        "RIVERRUN_DATA_DIR": str(folder),
    }
    with run_cloud(ROOT / "template.yaml", concurrency=32, environ=environ) as cloud:
        yield Product(cloud)
