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
        self._link: str | None = None
        self._largest = 0
        self._log: WriteAheadLog | None = None

    def note_opened(self) -> None:
        """Take what is there now for what is open."""
        before = self._log
        # SQLite puts the side files beside the file itself, not beside a link to it.
        real = os.path.realpath(self.path)
        if real != self._real and self.identity:
            drop_side_files(Path(self._real), self.identity)
        self._real, self._link = real, _read_link(self.path)
        self.identity = identify(real)
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
        found = _look(self._real)
        if tuple([_number(one) for one in found]) != self.identity:
            return True
        if self._link is not None and _read_link(self.path) != self._link:
            return True
        file, log, _ = found
        if log is not None and self._log is not None and self._log.is_cut_off(log.st_size):
            return True
        return file is not None and self._is_cut_off(connection, file.st_size)

    def put_aside(self, connection: sqlite3.Connection) -> None:
        """Take a file that is cut off out of the way, unless another process has."""
        if self._log is not None and self._log.is_cut_off():
            return  # what is in memory may be the whole still
        path = Path(self._real)
        if self._is_cut_off(connection, measure_file(path)):
            with lock_directory(path.parent):
                if identify(path)[0] == self.identity[0]:
                    put_aside(path)

    def _is_cut_off(self, connection: sqlite3.Connection, size: int) -> bool:
        # A file of ours never shrinks by itself.
        if size < self._largest and identify(self._real)[0] == self.identity[0]:
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
    """Which files are at `path` now; a link in the place of the first is a file of its own."""
    return tuple([_number(found) for found in _look(path)])


def side_file(path: Path, suffix: str) -> Path:
    """The side file of `path` with that suffix; itself for none."""
    return path.with_name(path.name + suffix)


def measure_file(path: Path) -> int:
    """How large the file at `path` is now, in bytes; 0 where there is none."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - half of what `Path.stat` costs
    except OSError:
        return 0


def _look(path: Path | str) -> list[os.stat_result | None]:
    found: list[os.stat_result | None] = []
    for suffix in ("", *SIDE_FILES):
        try:
            found.append(os.lstat(f"{path}{suffix}"))
        except OSError:
            found.append(None)
    return found


def _number(found: os.stat_result | None) -> tuple[int, int] | None:
    return None if found is None else (found.st_dev, found.st_ino)


def _read_link(path: Path) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - each write may ask
    except OSError:
        return None  # no link
