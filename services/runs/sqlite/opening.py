"""Opening a SQLite file safely, and what its faults mean in our words.

A file that cannot be used says so here, before any question is answered, and is left as it is.
"""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from ...errors import RiverrunError, SetupError
from ..errors import RunLogError

# "RIVR": tells our file from any other database.
APPLICATION_ID = 0x52495652
FORMAT = 1


def open_file(path: Path, schema: str, busy: float) -> sqlite3.Connection:
    """Open the file, ready to be written. `schema` makes the tables that are not there.

    A file that was not closed properly is recovered (SQLite replays its write-ahead log) and then
    checked. Raises `SetupError`, and leaves the file as it is, when it cannot be used.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Conversations are private to the user who runs the service. A file that is there is never
        # opened by us: closing it would drop the locks that SQLite holds on it in this process.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        _inspect(path, busy)
        connection = sqlite3.connect(
            path, timeout=busy, isolation_level=None, check_same_thread=False
        )
    except OSError as error:
        raise SetupError(
            f"Cannot keep runs in {path}: {error.strerror or error}. Set RIVERRUN_DATA_DIR to a "
            "directory that can be written, or RIVERRUN_LOG to another place."
        ) from error
    except sqlite3.Error as error:
        raise _opening_error(error, path) from error
    try:
        _prepare(connection, path, schema, busy)
    except sqlite3.Error as error:
        connection.close()
        raise _opening_error(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _inspect(path: Path, busy: float) -> None:
    # A connection that may write moves what is in the write-ahead log into the file when it is
    # closed. This one leaves what is not ours, or not sound, as it was.
    unclean = _size(path.with_name(path.name + "-wal")) > 0
    address = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, timeout=busy, uri=True)) as file:
        _check_format(file, path)
        if unclean and file.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise SetupError(_damage_message(path))


def _prepare(connection: sqlite3.Connection, path: Path, schema: str, busy: float) -> None:
    if _enter_wal_mode(connection, busy) != "wal":
        raise SetupError(
            f"The file system of {path} does not take SQLite's write-ahead log. Set RIVERRUN_LOG "
            "to a path on a local disk."
        )
    connection.execute("PRAGMA synchronous=FULL")
    # Written even when nothing is new: a file that cannot be written is found now, not when the
    # first answer is to be kept.
    connection.execute("BEGIN IMMEDIATE")
    known = _check_format(connection, path)
    for statement in schema.split(";"):
        connection.execute(statement)
    if not known:
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("PRAGMA user_version=0")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("COMMIT")


def _check_format(connection: sqlite3.Connection, path: Path) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and version == 0 and tables == 0:
        return False
    if application != APPLICATION_ID:
        raise SetupError(
            f"{path} is a database of something else. Set RIVERRUN_LOG to another path."
        )
    if version != FORMAT:
        raise SetupError(
            f"{path} was written by a newer Riverrun (format {version}, this one knows {FORMAT}). "
            "Install a newer one, or set RIVERRUN_LOG to another path."
        )
    return True


def _enter_wal_mode(connection: sqlite3.Connection, busy: float) -> str:
    # SQLite does not wait for others here, however long it was told to.
    end = time.monotonic() + busy
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > end:
                raise
        time.sleep(0.01)


def translate_error(error: sqlite3.Error, path: Path) -> RiverrunError:
    """What went wrong, in our words. Only a busy file is worth another try."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if _is_busy(error):
        return RunLogError("The run log is busy.", retry_after_ms=1000)
    if code == sqlite3.SQLITE_FULL:
        return SetupError(f"The disk that holds {path} is full. Make room, then ask again.")
    if code == sqlite3.SQLITE_READONLY:
        return SetupError(
            f"{path} cannot be written. Make the file and its directory writable, or set "
            "RIVERRUN_LOG to another path."
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return SetupError(_damage_message(path))
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return SetupError(
            f"{path} cannot be read and written ({error}). Check the disk and the rights of the "
            "file and its directory, or set RIVERRUN_LOG to another path."
        )
    return RunLogError("The run log failed.", code="internal", retryable=False)


def _opening_error(error: sqlite3.Error, path: Path) -> SetupError:
    if _is_busy(error):
        return SetupError(
            f"{path} is locked by another process. End it, or set RIVERRUN_LOG to another path."
        )
    told = translate_error(error, path)
    return told if isinstance(told, SetupError) else SetupError(f"Cannot open {path}: {error}.")


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _damage_message(path: Path) -> str:
    return (
        f"{path} is damaged, or not a database. Nothing was changed in it. Put a copy of it aside "
        "with its -wal file, then remove both, or set RIVERRUN_LOG to another path."
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
