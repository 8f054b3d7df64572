"""What CloudWatch would read out of the functions' logs: lines in its embedded metric format."""

import math
from collections import deque
from typing import Any

from emulator.json_input import parse_json

# The last lines that are kept, and the most metrics of one.
_KEPT = 1000
_MOST = 40


class EmbeddedMetrics:
    """The last lines of metrics, each a row of plain figures and the dimensions they go by."""

    def __init__(self) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._count = 0

    def read(self, line: str) -> None:
        """Keep what a line of a log says, if it is one of metrics."""
        if not line.startswith("{") or '"_aws"' not in line:
            return
        try:
            row = _read_row(parse_json(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # CloudWatch keeps nothing of it either
        self._count += 1
        self._rows.append({"n": self._count, **row})

    def list_after(self, after: int) -> dict[str, Any]:
        """Return the rows behind number `after`; all of them when the count began anew since."""
        start = after if after <= self._count else 0
        return {"count": self._count, "rows": [row for row in self._rows if row["n"] > start]}


def _read_row(record: dict[str, Any]) -> dict[str, Any]:
    about = record["_aws"]
    values: dict[str, float] = {}
    by: dict[str, str] = {}
    for directive in about["CloudWatchMetrics"]:
        for metric in directive["Metrics"][:_MOST]:
            value = record[metric["Name"]]
            if isinstance(value, (int, float)) and math.isfinite(value):
                values[str(metric["Name"])] = value
        for names in directive["Dimensions"]:
            by |= {str(name): str(record[name])[:100] for name in names[:_MOST]}
    return {"at": int(about["Timestamp"]), "values": values, "by": by}
