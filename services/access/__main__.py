"""`python -m services.access`: add a key, list them, revoke one.

    python -m services.access add alice [days]
    python -m services.access list
    python -m services.access revoke alice

The list is where RIVERRUN_KEY_LIST says. A key is shown once, when it is made.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from ..errors import RiverrunError, SetupError
from ..ledger import open_ledger
from ..settings import read_settings
from .key_list import change_keys, read_keys
from .keys import DAY_SECONDS, Key, make_key


async def run(arguments: Sequence[str]) -> int:
    """Do what `arguments` say with the list of the environment."""
    settings = read_settings(os.environ)
    place = settings.access.key_list
    if not place:
        raise SetupError("Set RIVERRUN_KEY_LIST: a path, or `ledger` for the store of the run log.")
    opened = cache(lambda: open_ledger(settings))
    match list(arguments):
        case ["add", name]:
            await _add(place, opened, name, None)
        case ["add", name, days] if days.isdigit() and int(days) > 0:
            await _add(place, opened, name, time.time() + int(days) * DAY_SECONDS)
        case ["list"]:
            for key in await read_keys(place, opened):
                print(_describe(key))
        case ["revoke", name]:

            def revoke(keys: tuple[Key, ...]) -> list[Key]:
                return [replace(k, revoked=True) if k.name == name else k for k in keys]

            await change_keys(place, opened, revoke)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


async def _add(place: str, opened: object, name: str, expires: float | None) -> None:
    given, key = make_key(name, expires)
    await change_keys(place, opened, lambda keys: [*keys, key])  # type: ignore[arg-type]  # a cached function
    print(given)


def _describe(key: Key) -> str:
    state = "good" if key.is_good(time.time()) else "revoked" if key.revoked else "expired"
    end = "never" if key.expires is None else time.strftime("%Y-%m-%d", time.gmtime(key.expires))
    return f"{key.name:<20} {state:<8} ends {end:<10} {key.sha256[:8]}…"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    try:
        return asyncio.run(run(sys.argv[1:] if arguments is None else arguments))
    except RiverrunError as error:
        print(error.message, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
