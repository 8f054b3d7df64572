"""Switch new questions off and on, without a redeploy: a record that every process looks at.

A process looks again after `SECONDS`, so a switch that is turned works everywhere within them.
"""

import time
from collections.abc import Callable

from ..ledger import Ledger

SECONDS = 5.0
_KEY = "switch"
_NEVER = 253_402_300_000.0  # the year 9999


class Switch:
    """What this process last saw of the switch."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seen_at = float("-inf")
        self._is_off = False

    async def is_off(self, ledger: Ledger) -> bool:
        """Tell whether new questions are refused. Raises `LedgerError`."""
        if self._clock() - self._seen_at >= SECONDS:
            found = await ledger.read(_KEY)
            self._is_off = bool(found and found.value.get("off"))
            self._seen_at = self._clock()
        return self._is_off


async def turn_switch(ledger: Ledger, *, off: bool) -> None:
    """Refuse new questions from now on, or take them again."""
    written = False
    while not written:
        found = await ledger.read(_KEY)
        version = found.version if found else 0
        written = await ledger.write(_KEY, {"off": off}, version=version, expires=_NEVER)
