"""Metrics as CloudWatch reads them out of a log: the embedded metric format, one JSON line.

The line of a run is the line of its metrics, so a run costs one line. No call to AWS is made and
no permission is needed.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

NAMESPACE = "Riverrun"

_UNITS = {"Ms": "Milliseconds", "Usd": "None", "Tokens": "Count"}


def format_emf(
    service: str,
    metrics: Mapping[str, float],
    fields: Mapping[str, Any],
    *,
    dimensions: Mapping[str, str] | None = None,
    now: float | None = None,
) -> str:
    """Write one line: `metrics` of `service`, alone and by `dimensions`, beside `fields`."""
    named = dict(dimensions or {})
    sets = [["Service"], *([["Service", *named]] if named else [])]
    definitions = [{"Name": name, "Unit": _unit(name)} for name in metrics]
    return json.dumps(
        {
            "_aws": {
                "Timestamp": int((time.time() if now is None else now) * 1000),
                "CloudWatchMetrics": [
                    {"Namespace": NAMESPACE, "Dimensions": sets, "Metrics": definitions}
                ],
            },
            "Service": service,
            **named,
            **metrics,
            **fields,
        },
        separators=(",", ":"),
    )


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "Count")
