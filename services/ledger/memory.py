"""The ledger of one process, gone with it: for tests, and beside a log that is in memory too."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from .protocol import Record

# Records beyond which those that expired are cleared away.
_CROWD = 1024


class MemoryLedger:
    """Records and counters in dictionaries. One event loop uses it, so no step is divided."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._records: dict[str, tuple[Record, float]] = {}
        self._counters: dict[str, tuple[dict[str, int], float]] = {}

    async def read(self, key: str) -> Record | None:
        """Read a record, or None where there is none (any more)."""
        record, expires = self._records.get(key, (None, 0.0))
        return record if expires > self._clock() else None

    async def write(
        self, key: str, value: Mapping[str, Any], *, version: int, expires: float
    ) -> bool:
        """Replace the record of `version` (0: there is none yet); False when it has another."""
        found = await self.read(key)
        if (found.version if found else 0) != version:
            return False
        self._records[key] = Record(dict(value), version + 1), expires
        self._clear()
        return True

    async def add(
        self,
        key: str,
        amounts: Mapping[str, int],
        *,
        limits: Mapping[str, int] | None = None,
        expires: float,
    ) -> bool:
        """Add `amounts` to the counters of `key`; False, and nothing added, at a limit."""
        counters = dict(await self.counters(key))
        if any(counters.get(name, 0) >= limit for name, limit in (limits or {}).items()):
            return False
        for name, amount in amounts.items():
            counters[name] = counters.get(name, 0) + amount
        self._counters[key] = counters, expires
        self._clear()
        return True

    async def counters(self, key: str) -> Mapping[str, int]:
        """Read the counters of `key`; empty where there are none (any more)."""
        counters, expires = self._counters.get(key, ({}, 0.0))
        return counters if expires > self._clock() else {}

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _clear(self) -> None:
        if len(self._records) + len(self._counters) < _CROWD:
            return
        now = self._clock()
        self._records = {k: v for k, v in self._records.items() if v[1] > now}
        self._counters = {k: v for k, v in self._counters.items() if v[1] > now}
