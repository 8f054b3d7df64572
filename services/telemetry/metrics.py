"""Counts and times of this process, and their text for Prometheus.

A name and its labels come from this code, never from a request, so there are few of them.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping

# Upper ends in milliseconds.
BUCKETS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)

# More series than this would be a label that a request chose.
_MOST = 1000

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters, gauges and histograms by name and labels. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Labels], float] = {}
        self._gauges: dict[tuple[str, Labels], float] = {}
        self._times: dict[tuple[str, Labels], list[float]] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            if key in self._counts or len(self._counts) < _MOST:
                self._counts[key] = self._counts.get(key, 0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._gauges[name, tuple(sorted(labels.items()))] = value

    def time(self, name: str, milliseconds: float, **labels: str) -> None:
        """Add a time to a histogram."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            row = self._times.setdefault(key, [0.0] * (len(BUCKETS) + 2))
            row[bisect_left(BUCKETS, milliseconds)] += 1
            row[-1] += milliseconds

    def value(self, name: str, **labels: str) -> float:
        """Read a counter or gauge; 0 where nothing was counted."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            return self._counts.get(key, self._gauges.get(key, 0.0))

    def render(self) -> str:
        """Write everything in Prometheus's text format, version 0.0.4."""
        lines: list[str] = []
        with self._lock:
            for kind, table in (("counter", self._counts), ("gauge", self._gauges)):
                lines += _render_plain(kind, table)
            for name in sorted({name for name, _ in self._times}):
                lines.append(f"# TYPE riverrun_{name} histogram")
                for (found, labels), row in sorted(self._times.items()):
                    if found == name:
                        lines += _render_histogram(name, labels, row)
        return "\n".join([*lines, ""])


def _render_plain(kind: str, table: Mapping[tuple[str, Labels], float]) -> list[str]:
    lines = []
    seen = ""
    for (name, labels), value in sorted(table.items()):
        if name != seen:
            lines.append(f"# TYPE riverrun_{name} {kind}")
            seen = name
        lines.append(f"riverrun_{name}{_render_labels(labels)} {value:g}")
    return lines


def _render_histogram(name: str, labels: Labels, row: list[float]) -> list[str]:
    lines, total = [], 0.0
    for end, found in zip([*map(str, BUCKETS), "+Inf"], row[:-1], strict=True):
        total += found
        lines.append(f"riverrun_{name}_bucket{_render_labels((*labels, ('le', end)))} {total:g}")
    lines.append(f"riverrun_{name}_sum{_render_labels(labels)} {row[-1]:g}")
    lines.append(f"riverrun_{name}_count{_render_labels(labels)} {total:g}")
    return lines


def _render_labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
