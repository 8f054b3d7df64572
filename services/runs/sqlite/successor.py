"""The file that takes the place of one that was removed, replaced or cut off while it was open."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from .faults import is_unreadable
from .opening import LEFT, open_file
from .place import (
    SIDE_FILES,
    Identity,
    drop_side_files,
    identify,
    lock_directory,
    put_aside,
    side_file,
)

# How much of a file may stay in memory while it is copied out of it, in KiB.
KEPT_KIB = 256 * 1024


@dataclass(frozen=True, slots=True)
class Survivors:
    """What is not to be lost with a file: `copy` from one to another, or `drop` what is too old."""

    copy: Callable[[sqlite3.Connection, sqlite3.Connection], None]
    drop: Callable[[sqlite3.Connection], None]


def replace_file(
    path: Path,
    schema: str,
    busy: float,
    *,
    removed: tuple[sqlite3.Connection, Identity],
    live: Survivors | None,
) -> sqlite3.Connection:
    """Open the successor of a file that was removed, or lost a side file, while it was open.

    `removed` is its connection, which holds its lock and still has everything, and what was at
    `path` when it was opened. A file that is there and
    has lost its log is written whole into a new one, as far as it can be read. Of one that is not
    there, only what is live is copied: it may have been removed on purpose. Raises what `open_file`
    raises.
    """
    old, was = removed
    real = Path(os.path.realpath(path))
    is_rewritten = _rewrite(real, old, was, live)
    drop_side_files(real, was)
    new = open_file(path, schema, busy)
    try:
        if live is not None and not is_rewritten:
            new.execute("BEGIN IMMEDIATE")
            _copy_readable(live, old, new)
            new.execute("COMMIT")
    except BaseException:
        new.close()
        raise
    _mark_left(old)
    return new


def _copy_readable(live: Survivors, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    new.execute("SAVEPOINT copied")
    try:
        if not _is_left(old):
            live.copy(old, new)
    except sqlite3.DatabaseError as error:
        if not is_unreadable(error):
            raise
        # What was cut off with the file is lost; what comes is kept.
        new.execute("ROLLBACK TO copied")
    new.execute("RELEASE copied")


def _is_left(old: sqlite3.Connection) -> bool:
    """Whether a process has copied what was live in `old`: it may have ended since, and be gone."""
    found = old.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (LEFT,)).fetchone()
    return found is not None


def _mark_left(old: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if not old.in_transaction:
            old.execute("BEGIN IMMEDIATE")
        old.execute(f"CREATE TABLE IF NOT EXISTS {LEFT} (one)")
        old.execute("COMMIT")


def _rewrite(path: Path, old: sqlite3.Connection, was: Identity, live: Survivors | None) -> bool:
    """Write all that `old` has into a new file at `path`, if there is still the old one.

    Where a part of it can be read by no means any more, the old file is put aside, and the new one
    has what the last checkpoint left, without what was live then: it has gone on since.
    """
    if identify(path)[0] is None:
        return False
    with lock_directory(path.parent):
        if identify(path)[0] != was[0]:
            return False
        # SQLite copies no file that it is writing. No process adds to this one: each looks what is
        # at the path when it has the lock, as the caller had.
        if old.in_transaction:
            old.execute("ROLLBACK")
        # What was cut off may be in memory still; reading the rest is not to drive it out.
        old.execute(f"PRAGMA cache_size=-{KEPT_KIB}")
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        if _copy_whole(old, part):
            for suffix in SIDE_FILES:
                side_file(path, suffix).unlink(missing_ok=True)
            part.replace(path)
            return True
        part.unlink()
        # By itself, without its log.
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as checkpointed:
            is_whole = _copy_whole(checkpointed, part, live)
        put_aside(path)
        if is_whole:
            part.replace(path)
        else:
            part.unlink()
    return False


def _copy_whole(old: sqlite3.Connection, part: Path, without: Survivors | None = None) -> bool:
    with suppress(FileExistsError):
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(part)) as copy:
        try:
            old.backup(copy)
            found: tuple[str] = copy.execute("PRAGMA quick_check(1)").fetchone()
            if without is not None and copy.execute("PRAGMA user_version").fetchone() != (0,):
                without.drop(copy)
                copy.commit()
        except sqlite3.DatabaseError as error:
            if not is_unreadable(error):
                raise
            return False
    return found == ("ok",)
