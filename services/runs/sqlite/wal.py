"""Whether a write-ahead log still holds what its index counts.

Another program may cut it off in place (`> runs.sqlite-wal`). SQLite does not look: it goes on to
write behind the hole, acknowledges, and the next process that opens the file finds nothing of it.
"""

import os
import sys
import threading

_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_INDEX_BYTES = 48

# Closing a descriptor drops the locks that SQLite holds on the same file in this process. So an
# index is opened once in a process, and closed when the last connection of ours to it is.
_indices: dict[tuple[int, int], list[int]] = {}
_lock = threading.Lock()


class WriteAheadLog:
    """The write-ahead log of the file at `path`, which is open, and its index.

    To be closed after the connection. Without effect where files cannot be read in place (Windows).
    """

    def __init__(self, path: str) -> None:
        self._key: tuple[int, int] | None = None
        self._index = self._frames = -1
        if not hasattr(os, "pread"):
            return
        try:
            self._key, self._index = _hold_index(f"{path}-shm")
            self._frames = os.open(f"{path}-wal", os.O_RDONLY)
        except OSError:
            self.close()

    def is_cut_off(self, size: int = 0) -> bool:
        """Whether the log is not what its index says. `size` is known to be its size, or 0.

        One that SQLite made smaller is: a checkpoint empties the index first.
        """
        if self._frames < 0:
            return False
        try:
            if self._holds(os.pread(self._index, _INDEX_BYTES, 0), size):
                return False
            # Another process may have written between the two looks. The index changes with each
            # commit, and before the log becomes smaller.
            before = os.pread(self._index, _INDEX_BYTES, 0)
            is_whole = self._holds(before, os.fstat(self._frames).st_size)
            return not is_whole and before == os.pread(self._index, _INDEX_BYTES, 0)
        except OSError:
            return False  # a disk that fails says so where it is written

    def close(self) -> None:
        """Let go of both. Closing again changes nothing."""
        if self._frames >= 0:
            os.close(self._frames)
        if self._key is not None:
            _release_index(self._key)
        self._key, self._frames = None, -1

    def _holds(self, index: bytes, size: int) -> bool:
        frames = int.from_bytes(index[16:20], sys.byteorder)
        if frames == 0:
            return True
        page = int.from_bytes(index[14:16], sys.byteorder)
        page_bytes = 65536 if page == 1 else page
        if size < _HEADER_BYTES + frames * (_FRAME_HEADER_BYTES + page_bytes):
            return False
        # Written again behind a hole, it is long enough; the hole has no header.
        return os.pread(self._frames, _HEADER_BYTES, 0)[16:24] == index[32:40]


def _hold_index(path: str) -> tuple[tuple[int, int], int]:
    with _lock:
        found = os.stat(path)  # noqa: PTH116 - there is no path object to ask
        key = found.st_dev, found.st_ino
        if key not in _indices:
            _indices[key] = [os.open(path, os.O_RDONLY), 0]
        _indices[key][1] += 1
        return key, _indices[key][0]


def _release_index(key: tuple[int, int]) -> None:
    with _lock:
        held = _indices[key]
        held[1] -= 1
        if held[1] == 0:
            os.close(held[0])
            del _indices[key]
