"""What faults of SQLite and of its disk mean in our words, and which are worth another try."""

import errno
import logging
import math
import sqlite3
import time
from pathlib import Path

from ...errors import RiverrunError, SetupError
from ..errors import RunLogError

logger = logging.getLogger("riverrun.runs")

# How often one fault is complained of, in seconds.
COMPLAINT_INTERVAL = 60.0

# What a full disk is called where it is written, and where memory is shared by a file.
_NO_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})

# What opening fails with on disks that are shared by a network or with a virtual machine.
_NO_SHARED_MEMORY = frozenset(
    {
        sqlite3.SQLITE_IOERR_SHMOPEN,
        sqlite3.SQLITE_IOERR_SHMMAP,
        sqlite3.SQLITE_IOERR_SHMLOCK,
        sqlite3.SQLITE_IOERR_LOCK,
    }
)


def translate_error(error: Exception, path: Path) -> RiverrunError:
    """What went wrong, in our words. A busy file and a full disk are worth another try."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.Error) and is_busy(error):
        return RunLogError("The run log is busy.", retry_after_ms=1000)
    if has_no_room(error):
        return RunLogError("The run log has no room left.", retry_after_ms=5000)
    if code == sqlite3.SQLITE_IOERR:
        # A disk that is shared, or plugged in, comes back; a live answer waits for it.
        return RunLogError("The run log cannot be read and written.", retry_after_ms=5000)
    if (message := _describe_setup_fault(code, error, path)) is not None:
        return SetupError(message)
    return RunLogError("The run log failed.", code="internal", retryable=False)


def _describe_setup_fault(code: int, error: Exception, path: Path) -> str | None:
    if code == sqlite3.SQLITE_READONLY:
        return (
            f"{path} cannot be written. Make the file and its directory writable, or set "
            "RIVERRUN_LOG to another path."
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return damage_message(path)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return (
            f"{path} cannot be read and written ({error}). Check the disk and the rights of the "
            "file and its directory, or set RIVERRUN_LOG to another path."
        )
    return None


def translate_opening_error(error: Exception, path: Path) -> RiverrunError:
    """What went wrong before there was a file to answer from. A client is told no path.

    A lock and a full disk pass, so clients are asked to wait: the operator is told what to do.
    """
    if has_no_room(error):
        logger.error("%s", describe_disk_fault(error, path))
        return translate_error(error, path)
    if isinstance(error, OSError):
        return SetupError(
            f"Cannot keep runs in {path}: {error.strerror or error}. Set RIVERRUN_DATA_DIR to a "
            "directory that can be written, or RIVERRUN_LOG to another place."
        )
    if isinstance(error, sqlite3.Error) and is_busy(error):
        logger.error(
            "%s is locked by another process. End it, or set RIVERRUN_LOG to another path.", path
        )
        return translate_error(error, path)
    if getattr(error, "sqlite_errorcode", 0) in _NO_SHARED_MEMORY:
        return SetupError(wal_message(path))
    told = translate_error(error, path)
    return told if isinstance(told, SetupError) else SetupError(f"Cannot open {path}: {error}.")


def translate_running_error(error: Exception, path: Path) -> tuple[RiverrunError, str | None]:
    """What goes wrong with a file that was open: what a client is told, and what the operator is.

    What is in the way of it may be taken away again, so live answers wait for it.
    """
    if isinstance(error, sqlite3.Error):
        told = translate_error(error, path)
    elif isinstance(error, OSError) and not has_no_room(error):
        told = translate_opening_error(error, path)
    else:
        told = error if isinstance(error, RiverrunError) else translate_error(error, path)
    if isinstance(told, SetupError):
        return RunLogError("The run log cannot be used now.", retry_after_ms=5000), told.message
    return told, describe_disk_fault(error, path)


def is_doubtful(error: Exception) -> bool:
    """Whether a file is to be opened anew after `error`: what is known of it is wrong, or it is."""
    doubtful = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in doubtful


def has_no_room(error: Exception) -> bool:
    """Whether the disk, or what this process may write of it, is full."""
    code = getattr(error, "sqlite_errorcode", 0)
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return code & 0xFF == sqlite3.SQLITE_FULL or code in _NO_ROOM


def describe_disk_fault(error: Exception, path: Path) -> str | None:
    """What the operator is told of a disk that is full or fails, None where it does not."""
    if has_no_room(error):
        return f"The disk that holds {path} is full. Make room."
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR:
        return f"The disk that holds {path} fails: {error}."
    return None


class Complaints:
    """What the operator is told of faults: of each once, and again after a minute."""

    def __init__(self) -> None:
        self._told_at: dict[str, float] = {}

    def tell(self, fault: str) -> None:
        """Tell of it, unless it was told a moment ago."""
        now = time.monotonic()
        if now - self._told_at.get(fault, -math.inf) > COMPLAINT_INTERVAL:
            self._told_at[fault] = now
            logger.error("%s", fault)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process has the file locked."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_unreadable(error: sqlite3.Error) -> bool:
    """Whether what was asked for is not in the file any more, or not whole."""
    unreadable = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in unreadable and not has_no_room(error)


def damage_message(path: Path) -> str:
    return (
        f"{path} is damaged, or not a database. Nothing was changed in it. Put a copy of it aside "
        "with its -wal file, then remove both, or set RIVERRUN_LOG to another path."
    )


def wal_message(path: Path) -> str:
    return (
        f"The file system of {path} does not take SQLite's write-ahead log, which needs memory that"
        " processes share. Set RIVERRUN_LOG to a path on a local disk (in a container: a volume, "
        "not a folder of the host)."
    )
