"""Opening the run log: the one place that knows which stores there are.

A store's module is imported when it is opened, so that a function on one store never loads another.
"""

import re
from collections.abc import Callable

from ..errors import SetupError
from ..settings import Settings
from .log import DURABLE_RETENTION_SECONDS, MEMORY_RETENTION_SECONDS, RunLog


def open_log(settings: Settings) -> RunLog:
    """The store that `settings.log` names. Raises `SetupError` when it cannot be used."""
    scheme, _, place = settings.log.partition("://")
    return STORES[scheme](settings, place)


def _memory(settings: Settings, _place: str) -> RunLog:
    from .memory import MemoryLog

    return MemoryLog(retention=settings.retention_seconds or MEMORY_RETENTION_SECONDS)


def _sqlite(settings: Settings, place: str) -> RunLog:
    from .sqlite.log import SQLiteLog

    if place and not place.startswith("/"):
        raise SetupError(
            f"RIVERRUN_LOG={settings.log!r} needs an absolute path, as in sqlite:///var/runs.sqlite"
            ", or none (sqlite://) for runs.sqlite in the data directory."
        )
    path = place or settings.data_dir / "runs.sqlite"
    return SQLiteLog(path, retention=settings.retention_seconds or DURABLE_RETENTION_SECONDS)


def _dynamodb(settings: Settings, place: str) -> RunLog:
    from .dynamodb.log import DynamoLog
    from .dynamodb.table import Table

    if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", place):
        raise SetupError(
            f"RIVERRUN_LOG={settings.log!r} does not name a table. Write dynamodb:// and the name: "
            "3 to 255 letters, digits, dots, dashes and underscores."
        )
    return DynamoLog(
        Table(place), retention=settings.retention_seconds or DURABLE_RETENTION_SECONDS
    )


STORES: dict[str, Callable[[Settings, str], RunLog]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "dynamodb": _dynamodb,
}
