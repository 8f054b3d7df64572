"""`python -m services.limits [off|on]`: what was used today; refuse new questions, or take them."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence

from ..errors import RiverrunError
from ..ledger import open_ledger
from ..settings import read_settings
from .limiter import DAY
from .switch import Switch, turn_switch


async def run(arguments: Sequence[str]) -> int:
    """Do what `arguments` say with the ledger of the environment."""
    if arguments and arguments[0] not in ("off", "on"):
        print("Say off, on, or nothing to look.", file=sys.stderr)
        return 2
    ledger = open_ledger(read_settings(os.environ))
    try:
        if arguments:
            await turn_switch(ledger, off=arguments[0] == "off")
        used = await ledger.counters(f"total#{int(time.time() // DAY)}")
        state = "off" if await Switch().is_off(ledger) else "on"
    finally:
        await ledger.close()
    print(f"new questions: {state}")
    dollars = used.get("micros", 0) / 1_000_000
    print(f"today (UTC): {used.get('tokens', 0):,} tokens, {dollars:.2f} US dollars")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    try:
        return asyncio.run(run(sys.argv[1:] if arguments is None else arguments))
    except RiverrunError as error:
        print(error.message, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
