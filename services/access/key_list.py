"""The list of keys that can change while the service runs: a file, or a record of the ledger.

Read again after `SECONDS`, so a key that is revoked opens nothing after them. When the list cannot
be read, the last one holds for `GRACE`: readers go on reading while a store is away.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import RiverrunError, SetupError
from ..ledger import Ledger
from .keys import Key, dump_keys, parse_keys

SECONDS = 15.0
GRACE = 600.0
IN_LEDGER = "ledger"
_RECORD = "keys"
_NEVER = 253_402_300_000.0  # the year 9999


class KeyList:
    """What this process last read of the list at `place`: a path, or `ledger`."""

    def __init__(
        self,
        place: str,
        open_ledger: Callable[[], Ledger],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._place = place
        self._open_ledger = open_ledger
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._read_at = float("-inf")
        self._looked_at = float("-inf")

    async def keys(self) -> tuple[Key, ...]:
        """Give the keys, read again where it is time. Raises what the store raises."""
        now = self._clock()
        if now - self._looked_at < SECONDS:
            return self._keys
        try:
            self._keys = await read_keys(self._place, self._open_ledger)
        except RiverrunError:
            if now - self._read_at > GRACE:
                raise
            self._looked_at = now - SECONDS / 2  # not with every request
        else:
            self._read_at = self._looked_at = now
        return self._keys


async def read_keys(place: str, open_ledger: Callable[[], Ledger]) -> tuple[Key, ...]:
    """Read the list. Raises `SetupError` for a file that is not there or holds something else."""
    if place == IN_LEDGER:
        found = await open_ledger().read(_RECORD)
        return parse_keys(json.dumps(found.value["keys"])) if found else ()
    try:
        text = await asyncio.to_thread(Path(place).read_text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"RIVERRUN_KEY_LIST: {place} cannot be read.") from error
    return parse_keys(text)


async def change_keys(
    place: str,
    open_ledger: Callable[[], Ledger],
    change: Callable[[tuple[Key, ...]], Iterable[Key]],
) -> None:
    """Replace the list by what `change` makes of it."""
    if place == IN_LEDGER:
        written = False
        while not written:
            ledger = open_ledger()
            found = await ledger.read(_RECORD)
            keys = parse_keys(json.dumps(found.value["keys"])) if found else ()
            value = {"keys": dump_keys(change(keys))}
            version = found.version if found else 0
            written = await ledger.write(_RECORD, value, version=version, expires=_NEVER)
        return
    path = Path(place)
    keys = await read_keys(place, open_ledger) if await asyncio.to_thread(path.exists) else ()
    text = json.dumps(dump_keys(change(keys)), indent=1)
    await asyncio.to_thread(_replace, path, text)


def _replace(path: Path, text: str) -> None:
    # A process that reads meanwhile sees the old list or the new one, never half of one.
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text(text, "utf-8")
    beside.replace(path)
