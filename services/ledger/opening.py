"""Open the ledger that belongs to the run log of the settings."""

from pathlib import Path

from ..errors import SetupError
from ..settings import Settings
from .protocol import Ledger

_FILE = "ledger.sqlite"


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger beside the log that `settings.log` names. Raises `SetupError`."""
    scheme, _, place = settings.log.partition("://")
    if scheme == "dynamodb":
        from .dynamodb import DynamoLedger

        return DynamoLedger(place)
    if scheme == "sqlite":
        from .sqlite import SQLiteLedger

        path = Path(place).with_suffix(".ledger.sqlite") if place else settings.data_dir / _FILE
        return SQLiteLedger(path)
    if scheme == "memory":
        from .memory import MemoryLedger

        return MemoryLedger()
    raise SetupError(f"There is no ledger beside a run log of {scheme}://: limits would not hold.")
