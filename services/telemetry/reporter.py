"""Tell what happened to where the settings say: a log line, EMF, Prometheus, all of it bounded.

Refusals are gathered for a few seconds: a flood of them must not be a flood of lines.
"""

import json
import logging
import sys
import time
from collections.abc import Callable

from ..public_settings import TelemetrySettings
from .emf import format_emf
from .metrics import Metrics
from .record import RunRecord

logger = logging.getLogger("riverrun.runs")

# Seconds between two lines about refusals with the same code.
GATHER = 5.0

# Codes after which a model is out of reach, for whatever reason of its own.
UNAVAILABLE = frozenset({"provider_throttled", "provider_error", "provider_timeout"})


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Reporter:
    """Where runs and refusals are told. `write` writes one line of EMF."""

    def __init__(
        self,
        settings: TelemetrySettings,
        *,
        write: Callable[[str], None] = _print_line,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.metrics = Metrics()
        self._settings = settings
        self._write = write
        self._clock = clock
        self._gathered: dict[tuple[str, str], int] = {}
        self._told_at = float("-inf")

    def report_run(self, record: RunRecord) -> None:
        """Tell of a run that has ended here."""
        said = record.fields()
        self._count_run(record)
        if self._settings.metrics == "emf":
            figures: dict[str, float] = {
                "Runs": 1,
                "CostUsd": record.cost_usd,
                "InputTokens": record.input_tokens,
                "OutputTokens": record.output_tokens,
                "DurationMs": record.duration_ms,
                "ModelUnavailable": int(record.code in UNAVAILABLE),
                "Resumes": int(record.resumed),
            }
            measured = {
                "FirstEventMs": record.first_event_ms,
                "FirstTokenMs": record.first_token_ms,
                "LoopLagMs": record.loop_lag_ms,
                "EtaErrorMs": record.eta_error_ms,
            }
            figures |= {name: value for name, value in measured.items() if value is not None}
            by = {"Code": record.code}
            rest = {k: v for k, v in said.items() if k != "code"}
            line = format_emf(
                self._settings.service, figures, rest, dimensions=by, now=self._clock()
            )
            self._write(line)
        else:
            logger.info("%s", json.dumps(said, separators=(",", ":")))
        self.flush()

    def refuse(self, code: str, scope: str = "") -> None:
        """Count a request that was refused. `scope` says whose limit it was."""
        self.metrics.count("refused_total", code=code)
        if scope:
            self.metrics.count("limits_hit_total", scope=scope, code=code)
        key = (code, scope)
        self._gathered[key] = self._gathered.get(key, 0) + 1
        if self._clock() - self._told_at >= GATHER:
            self.flush()

    def note_lag(self, milliseconds: float) -> None:
        """Count one sample of how late the event loop was."""
        self.metrics.time("event_loop_lag_ms", milliseconds)

    def flush(self) -> None:
        """Tell of the refusals that were gathered."""
        gathered, self._gathered = self._gathered, {}
        if gathered:
            self._told_at = self._clock()
        for (code, scope), times in gathered.items():
            if self._settings.metrics != "emf":
                said = {"event": "refused", "code": code, "times": times}
                logger.info("%s", json.dumps(said | ({"scope": scope} if scope else {})))
                continue
            service, now = self._settings.service, self._clock()
            fields = {"event": "refused"}
            by = {"Code": code}
            self._write(format_emf(service, {"Refused": times}, fields, dimensions=by, now=now))
            if scope:
                by = {"Scope": scope}
                line = format_emf(service, {"LimitsHit": times}, fields, dimensions=by, now=now)
                self._write(line)

    def _count_run(self, record: RunRecord) -> None:
        metrics = self.metrics
        metrics.count("runs_total", code=record.code)
        metrics.count("tokens_total", record.input_tokens, direction="in")
        metrics.count("tokens_total", record.output_tokens, direction="out")
        metrics.count("cost_usd_total", record.cost_usd)
        if record.resumed:
            metrics.count("resumes_total")
        if record.code == "paused":
            metrics.count("pauses_total")
        if record.code == "cancelled":
            metrics.count("stops_total")
        if record.code in UNAVAILABLE:
            metrics.count("model_unavailable_total", code=record.code)
        metrics.time("run_ms", record.duration_ms)
        if record.first_event_ms is not None:
            metrics.time("first_event_ms", record.first_event_ms)
        if record.first_token_ms is not None:
            metrics.time("first_token_ms", record.first_token_ms)
        if record.eta_error_ms is not None:
            metrics.time("eta_error_ms", record.eta_error_ms)
