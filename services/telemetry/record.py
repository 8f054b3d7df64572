"""What is said of one run when it has ended here: figures and codes, nothing of its texts."""

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """One run, or the part of it that one process worked on. Times are in milliseconds.

    `code` is an error's code, or how the answer ended: `stop`, `length`, `budget`, `cancelled`,
    `paused`. `steps` has the time of each step by its name. `loop_lag_ms` is the worst lag of the
    event loop meanwhile, `eta_error_ms` how far its end was from what the first `etaMs` had said.
    """

    run: str
    owner: str | None = None
    model: str | None = None
    code: str = "internal"
    resumed: bool = False
    streaming: bool = True
    dialect: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    sources: int = 0
    first_event_ms: int | None = None
    first_token_ms: int | None = None
    duration_ms: int = 0
    loop_lag_ms: float | None = None
    eta_error_ms: int | None = None
    steps: dict[str, int] = field(default_factory=dict)
    trace: str = ""

    def fields(self) -> dict[str, Any]:
        """Give what is logged; what is not known is left out.

        The owner is hashed once more: two lines can be told to be of one owner, and neither
        opens anything.
        """
        owner = hashlib.sha256((self.owner or "").encode()).hexdigest()[:12] if self.owner else None
        said = {
            "event": "run",
            "run": self.run,
            "owner": owner,
            "model": self.model,
            "code": self.code,
            "resumed": self.resumed or None,
            "streaming": self.streaming,
            "dialect": self.dialect or None,
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "costUsd": round(self.cost_usd, 6),
            "sources": self.sources,
            "firstEventMs": self.first_event_ms,
            "firstTokenMs": self.first_token_ms,
            "durationMs": self.duration_ms,
            "loopLagMs": self.loop_lag_ms,
            "etaErrorMs": self.eta_error_ms,
            "steps": self.steps or None,
            "trace": self.trace or None,
        }
        return {name: value for name, value in said.items() if value is not None}
