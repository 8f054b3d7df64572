"""How a service reports what it is doing, without knowing what reads the reports.

The status callback of the wire contract: a service calls ``report`` while it works, the
pipeline turns each call into a `status` event. Nothing here knows about events or sockets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing a service did or is about to do, in words a person can read.

    `fraction` is how much of the service's own work is done, 0 to 1. `data` is small and
    JSON-safe; it is shown to clients, so it holds no secrets, paths or model ids.
    """

    description: str
    fraction: float | None = None
    data: Mapping[str, Any] | None = None


Report = Callable[[Progress], None]
"""The status callback. It never blocks and never raises; call it from the event loop."""


def no_report(_progress: Progress) -> None:
    """Drop the report: the default of every service."""
