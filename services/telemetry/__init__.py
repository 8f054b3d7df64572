"""Say what happened: one line a run, metrics, traces. No question, answer, key or address is said.

Start reading at `services.telemetry.record`. Knows neither runs nor HTTP: it is told plain figures.
"""

from .loop_lag import LoopLag
from .metrics import Metrics
from .record import RunRecord
from .reporter import Reporter
from .step_times import StepTimes

__all__ = ["LoopLag", "Metrics", "Reporter", "RunRecord", "StepTimes"]
