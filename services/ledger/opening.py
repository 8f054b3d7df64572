"""Open the ledger that belongs to the run log of the settings."""

from collections.abc import Callable
from pathlib import Path

from ..errors import SetupError
from ..settings import Settings
from .protocol import Ledger

_FILE = "ledger.sqlite"


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger beside the log that `settings.log` names. Raises `SetupError`."""
    scheme, _, place = settings.log.partition("://")
    if scheme not in LEDGERS:
        raise SetupError(
            f"There is no ledger beside a run log of {scheme}://: limits would not hold."
        )
    return LEDGERS[scheme](settings, place)


def _memory(_settings: Settings, _place: str) -> Ledger:
    from .memory import MemoryLedger

    return MemoryLedger()


def _sqlite(settings: Settings, place: str) -> Ledger:
    from .sqlite import SQLiteLedger

    path = Path(place).with_suffix(".ledger.sqlite") if place else settings.data_dir / _FILE
    return SQLiteLedger(path)


def _dynamodb(_settings: Settings, place: str) -> Ledger:
    from .dynamodb import DynamoLedger

    return DynamoLedger(place)


LEDGERS: dict[str, Callable[[Settings, str], Ledger]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "dynamodb": _dynamodb,
}
