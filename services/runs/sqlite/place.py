"""What is at a path, and whether it is still what was opened there.

A file may be removed, replaced or cut off by a program that knows nothing of us, while it is open.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What belongs to a file in use. Without one of them, what is in the others is not the whole.
SIDE_FILES = ("-wal", "-shm")

Identity = tuple[tuple[int, int] | None, ...]
"""Device and number of a file and of its side files; None where there is none."""


class Place:
    """The files at `path` as they were when the first of them was last opened (`note_opened`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity: Identity = ()
        self._largest = 0

    def note_opened(self) -> None:
        """Take what is there now for what is open."""
        self.identity = identify(self.path)
        self._largest = 0

    def has_changed(self, connection: sqlite3.Connection) -> bool:
        """Whether there is another file than that of `connection` now, or none, or one cut off."""
        return identify(self.path) != self.identity or self._is_cut_off(connection)

    def put_aside(self, connection: sqlite3.Connection) -> None:
        """Take a file that is cut off out of the way, unless another process has."""
        if not self._is_cut_off(connection):
            return
        with lock_directory(self.path.parent):
            if identify(self.path)[0] != self.identity[0]:
                return
            aside = self.path.with_name(f"{self.path.name}.damaged")
            for suffix in ("", *SIDE_FILES):
                if side_file(self.path, suffix).exists():
                    side_file(self.path, suffix).replace(side_file(aside, suffix))

    def _is_cut_off(self, connection: sqlite3.Connection) -> bool:
        # A file of ours never shrinks by itself.
        size = measure_file(self.path)
        if size < self._largest and identify(self.path)[0] == self.identity[0]:
            if not _is_vacuumed(connection, self._largest):
                return True
            self._largest = 0
        self._largest = max(size, self._largest)
        return False


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


def identify(path: Path) -> Identity:
    """Which files are at `path` now."""
    # As text: each write asks, and a path made of paths costs more than the disk's answer.
    return tuple([_identify_one(f"{path}{suffix}") for suffix in ("", *SIDE_FILES)])


def side_file(path: Path, suffix: str) -> Path:
    """The side file of `path` with that suffix; itself for none."""
    return path.with_name(path.name + suffix)


def measure_file(path: Path) -> int:
    """How large the file at `path` is now, in bytes; 0 where there is none."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - half of what `Path.stat` costs
    except OSError:
        return 0


def _identify_one(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - there is no path object to ask
    except OSError:
        return None
    return found.st_dev, found.st_ino
