"""The protocol of the ledger and its rules, the same for every store.

- A record is a small JSON object under a key; its writer names the version that was read,
  so of two writers one is refused and reads again.
- Counters are whole numbers. `add` is one step: all of its amounts are added, or none because one
  counter has reached its limit. There is no moment at which two callers both see room for one.
- A record and its counters are gone after `expires`, an epoch second; until then they stay.
- A store that is out of reach raises `LedgerError`. What that means for a question is for the
  caller to decide; `services.limits` refuses the question.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import RiverrunError


class LedgerError(RiverrunError):
    """The store did not do it: busy, out of reach, or broken."""

    code = "overloaded"
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "The service cannot count questions at the moment.",
            retry_after_ms=2000,
            hint="Answers that were begun can still be read.",
        )


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept under a key, and its version, which grows with each write."""

    value: Mapping[str, Any]
    version: int


class Ledger(Protocol):
    """A store of records and counters. Every method raises `LedgerError`."""

    async def read(self, key: str) -> Record | None:
        """Read a record, or None where there is none (any more)."""

    async def write(
        self, key: str, value: Mapping[str, Any], *, version: int, expires: float
    ) -> bool:
        """Replace the record of `version` (0: there is none yet); False when it has another."""

    async def add(
        self,
        key: str,
        amounts: Mapping[str, int],
        *,
        limits: Mapping[str, int] | None = None,
        expires: float,
    ) -> bool:
        """Add `amounts` to the counters of `key`; False, and nothing added, at a limit.

        A counter is at its limit when it has reached it: one that is below may be taken over it by
        the amount of this call. Amounts may be negative.
        """

    async def counters(self, key: str) -> Mapping[str, int]:
        """Read the counters of `key`; empty where there are none (any more)."""

    async def close(self) -> None:
        """Let go of files and connections."""
