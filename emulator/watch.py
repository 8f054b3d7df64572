"""Noticing that a file changed, by looking twice a second.

Knows nothing of what is done about it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

_SUFFIXES = (".py", ".json", ".yaml", ".yml", ".toml", ".txt", ".sql")
_NAMES = ("bootstrap",)
_SKIPPED = frozenset(
    {"node_modules", "__pycache__", "tests", "docs", "benchmarks", "emulator", "build", "dist"}
)


async def changes(
    roots: Callable[[], Iterable[Path]], *, interval: float = 0.5
) -> AsyncIterator[frozenset[Path]]:
    """Yield the files that were changed, added or removed, each time there are any.

    `roots` is asked at each look; what a new folder has is no change.
    """
    watched = frozenset(roots())
    before = await asyncio.to_thread(_snapshot, watched)
    while True:
        await asyncio.sleep(interval)
        new = frozenset(roots()) - watched
        before |= await asyncio.to_thread(_snapshot, new)
        watched |= new
        now = await asyncio.to_thread(_snapshot, watched)
        if now != before:
            yield frozenset(Path(name) for name, _ in now.items() ^ before.items())
            before = now


def _snapshot(roots: Iterable[Path]) -> dict[str, int]:
    found: dict[str, int] = {}
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
                        found[entry.path] = entry.stat().st_mtime_ns
        except OSError:  # it went away while we looked
            continue
    return found
