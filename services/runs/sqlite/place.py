"""What is at a path, and whether it is still what was opened there.

A file may be removed, replaced or cut off by a program that knows nothing of us, while it is open.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .wal import WriteAheadLog

# What belongs to a file in use. Without one of them, what is in the others is not the whole.
SIDE_FILES = ("-wal", "-shm")

Identity = tuple[tuple[int, int] | None, ...]
"""Device and number of a file and of its side files; None where there is none."""


class Place:
    """The files at `path` as they were when the first of them was last opened (`note_opened`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity: Identity = ()
        self._real = str(path)
        self._largest = 0
        self._log: WriteAheadLog | None = None

    def note_opened(self) -> None:
        """Take what is there now for what is open."""
        before = self._log
        self._real = os.path.realpath(self.path)  # SQLite puts the side files there
        self.identity = identify(self._real)
        self._largest = 0
        self._log = WriteAheadLog(self._real)
        if before is not None:
            before.close()  # now: the index may be the same

    def release(self) -> None:
        """Let go of the files. Only when the connection to them is closed."""
        if self._log is not None:
            self._log.close()

    def is_left(self) -> bool:
        """Whether there are other files than those that are open now, or none."""
        return identify(self._real) != self.identity

    def has_changed(self, connection: sqlite3.Connection) -> bool:
        """Whether there is another file than that of `connection` now, or none, or one cut off."""
        # As text: each write asks, and a path made of paths costs more than the disk's answer.
        found = [_stat(f"{self._real}{suffix}") for suffix in ("", *SIDE_FILES)]
        if tuple([_number(one) for one in found]) != self.identity:
            return True
        file, log, _ = found
        if log is not None and self._log is not None and self._log.is_cut_off(log.st_size):
            return True
        return file is not None and self._is_cut_off(connection, file.st_size)

    def put_aside(self, connection: sqlite3.Connection) -> None:
        """Take a file that is cut off out of the way, unless another process has."""
        if self._log is not None and self._log.is_cut_off():
            return  # what is in memory may be the whole still
        if self._is_cut_off(connection, measure_file(self.path)):
            with lock_directory(self.path.parent):
                if identify(self.path)[0] == self.identity[0]:
                    put_aside(self.path)

    def _is_cut_off(self, connection: sqlite3.Connection, size: int) -> bool:
        # A file of ours never shrinks by itself.
        if size < self._largest and identify(self.path)[0] == self.identity[0]:
            if not _is_vacuumed(connection, self._largest):
                return True
            self._largest = 0
        self._largest = max(size, self._largest)
        return False


def put_aside(path: Path) -> None:
    """Name the file and its side files `.damaged`. Within the folder's lock."""
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in ("", *SIDE_FILES):
        if side_file(path, suffix).exists():
            side_file(path, suffix).replace(side_file(aside, suffix))


def _is_vacuumed(connection: sqlite3.Connection, largest: int) -> bool:
    """Whether a file is smaller than its `largest` because another program made it so by SQLite.

    Then the database says so itself, and is whole.
    """
    try:
        connection.execute("PRAGMA shrink_memory")  # what is not in the file any more may be there
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        if pages * page_bytes >= largest:
            return False
        found: tuple[str] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError:
        return False
    return found == ("ok",)


def drop_side_files(path: Path, was: Identity) -> None:
    """Remove the side files of a file that is not there any more: they would change another one."""
    if (now := identify(path))[0] in (None, was[0]):
        return
    with lock_directory(path.parent):
        for suffix, there, known in zip(SIDE_FILES, now[1:], was[1:], strict=True):
            if there is not None and there == known:
                side_file(path, suffix).unlink(missing_ok=True)


@contextmanager
def lock_directory(folder: Path) -> Iterator[None]:
    """One process at a time makes or replaces files in `folder`. Without effect on Windows."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def identify(path: Path | str) -> Identity:
    """Which files are at `path` now."""
    return tuple([_number(_stat(f"{path}{suffix}")) for suffix in ("", *SIDE_FILES)])


def side_file(path: Path, suffix: str) -> Path:
    """The side file of `path` with that suffix; itself for none."""
    return path.with_name(path.name + suffix)


def measure_file(path: Path) -> int:
    """How large the file at `path` is now, in bytes; 0 where there is none."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - half of what `Path.stat` costs
    except OSError:
        return 0


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - there is no path object to ask
    except OSError:
        return None


def _number(found: os.stat_result | None) -> tuple[int, int] | None:
    return None if found is None else (found.st_dev, found.st_ino)
