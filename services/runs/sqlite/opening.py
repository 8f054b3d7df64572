"""Opening a SQLite file safely.

A file that cannot be used says so here, before any question is answered, and is left as it is.
"""

import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

from ...errors import SetupError
from .faults import damage_message, is_busy, translate_opening_error, wal_message
from .place import SIDE_FILES, lock_directory, measure_file, side_file

# "RIVR": tells our file from any other database.
APPLICATION_ID = 0x52495652
FORMAT = 2

# The table that a file gets when its processes leave it. One that is put back loses it.
LEFT = "left_behind"

WAL_BYTES = 16 * 1024 * 1024


def open_file(path: Path, schema: str, busy: float) -> sqlite3.Connection:
    """Open the file, ready to be written. `schema` makes the tables that are not there.

    A file that was not closed properly is recovered (SQLite replays its write-ahead log) and then
    checked. Raises `SetupError`, and leaves the file as it is, when it cannot be used, and
    `RunLogError` while another process has it locked, or the disk is full.
    """
    real = Path(os.path.realpath(path))  # SQLite puts the side files beside it
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        _refuse_other_kinds(path)
        _create(real)
        _inspect(path, real, busy)
        connection = sqlite3.connect(
            path, timeout=busy, isolation_level=None, check_same_thread=False
        )
    except (sqlite3.Error, OSError) as error:
        raise translate_opening_error(error, path) from error
    try:
        _prepare(connection, path, schema, busy)
    except sqlite3.Error as error:
        connection.close()
        raise translate_opening_error(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_other_kinds(path: Path) -> None:
    """Say what is there instead of a file: SQLite reads a pipe for as long as it says nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        return
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    kind = next((name for is_kind, name in kinds if is_kind(mode)), "a device")
    raise SetupError(
        f"{path} is {kind}, no file. Set RIVERRUN_LOG to the path of a file, which need not be"
        " there yet."
    )


def _create(path: Path) -> None:
    with lock_directory(path.parent):
        wal, shm = (side_file(path, suffix) for suffix in SIDE_FILES)
        if not path.exists():
            # Left by a file that was removed: SQLite would put its pages into the new one.
            wal.unlink(missing_ok=True)
            shm.unlink(missing_ok=True)
        elif shm.exists() and not wal.exists():
            shm.unlink(missing_ok=True)  # an index of what is gone
        # Conversations are private to the user who runs the service. A file that is there is never
        # opened by us: closing it would drop the locks that SQLite holds on it in this process.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _inspect(path: Path, real: Path, busy: float) -> None:
    # A connection that may write moves what is in the write-ahead log into the file when it is
    # closed. This one leaves what is not ours, or not sound, as it was.
    unclean = measure_file(side_file(real, "-wal")) > 0
    address = f"{real.as_uri()}?mode=ro"
    if unclean:
        # Without the log, which may be of a file of ours that was here before.
        alone = sqlite3.connect(f"{address}&immutable=1", uri=True)
        with closing(alone), suppress(sqlite3.DatabaseError):
            _check_format(alone, path)
    with closing(sqlite3.connect(address, timeout=busy, uri=True)) as file:
        # One moment of the file: another process may be making it.
        file.execute("BEGIN")
        _check_format(file, path)
        if unclean and file.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise SetupError(damage_message(path))


def _prepare(connection: sqlite3.Connection, path: Path, schema: str, busy: float) -> None:
    if _enter_wal_mode(connection, busy) != "wal":
        raise SetupError(wal_message(path))
    connection.execute("PRAGMA synchronous=FULL")
    # A burst leaves a long write-ahead log behind; it is cut back to this when it begins anew.
    connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
    # Written even when nothing is new: a file that cannot be written is found now, not when the
    # first answer is to be kept.
    connection.execute("BEGIN IMMEDIATE")
    known = _check_format(connection, path)
    connection.execute(f"DROP TABLE IF EXISTS {LEFT}")
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
            f"{path} was written by another version of Riverrun (format {version}, this one knows "
            f"{FORMAT}). Install that one, remove the file, or set RIVERRUN_LOG to another path."
        )
    return True


def _enter_wal_mode(connection: sqlite3.Connection, busy: float) -> str:
    # SQLite does not wait for others here, however long it was told to.
    end = time.monotonic() + busy
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > end:
                raise
        time.sleep(0.01)
