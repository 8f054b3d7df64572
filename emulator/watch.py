"""Noticing that a file changed, by looking twice a second.

Knows nothing of what is done about it.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

_SUFFIXES = (".py", ".json", ".yaml", ".yml", ".toml", ".txt", ".sql")
_NAMES = ("bootstrap",)
_SKIPPED = frozenset(
    {"node_modules", "__pycache__", "tests", "docs", "benchmarks", "emulator", "build", "dist"}
)


async def changes(
    roots: Callable[[], Iterable[Path]], *, interval: float = 0.5
) -> AsyncGenerator[frozenset[Path], None]:
    """Yield the files that were changed, added or removed, each time there are any.

    The first item is empty: what is saved from then on is noticed. `roots` is asked at each look;
    what a new folder has is no change.
    """
    watched = frozenset(roots())
    before = await asyncio.to_thread(_snapshot, watched)
    yield frozenset()
    while True:
        await asyncio.sleep(interval)
        new = frozenset(roots()) - watched
        before |= await asyncio.to_thread(_snapshot, new)
        watched |= new
        now = await asyncio.to_thread(_snapshot, watched)
        if now != before:
            yield frozenset(Path(name) for name, _ in now.items() ^ before.items())
            before = now


def _snapshot(roots: Iterable[Path]) -> dict[str, tuple[int, int]]:
    # With its size: a file that is emptied and written within one tick of the disk's clock keeps
    # its time, and may be looked at in between.
    found: dict[str, tuple[int, int]] = {}
    pending = [str(root) for root in roots]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not (entry.name.startswith(".") or entry.name in _SKIPPED):
                            pending.append(entry.path)
                    elif entry.name.endswith(_SUFFIXES) or entry.name in _NAMES:
                        stat = entry.stat()
                        found[entry.path] = (stat.st_mtime_ns, stat.st_size)
        except OSError:  # it went away while we looked
            continue
    return found
