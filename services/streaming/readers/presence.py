"""A run that nobody reads, in this process or another, and when it is given up.

A process knows the readers that it serves. Of the others it sees a sign in the log, which they
leave for as long as they read; nobody takes it back, it runs out. Only where the installation
gives runs up (`RIVERRUN_ON_ABANDONED`) and other processes can read them is one left or looked for.
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from ...runs import UnknownRunError
from ..installation import Installation

if TYPE_CHECKING:
    from ..run.task import Production

log = logging.getLogger("riverrun.run")

# How long a reader who was sent off may take to come back before they count as gone, in seconds.
RETURN = 10.0

# How often a sign is renewed, and a store that failed is asked again, in seconds.
RENEW = 2.0

# How long a sign holds, in seconds. One who is sent off is then still counted for as long as they
# may take to come back, without a last write at the moment when a body has to end; and a store may
# fail for as long before a reader loses the run.
HOLD = RETURN + RENEW


def arrived(here: Installation, run_id: str) -> None:
    """The first reader of a run has come here: other processes are told while there is one."""
    if here.durable and here.settings.on_abandoned != "finish":
        _begin(here, run_id, _sign(here, run_id))


async def deserted(here: Installation, run_id: str, *, returns: bool, ended: bool) -> None:
    """The last reader of a run has left here, perhaps one who `returns`, perhaps at its end."""
    _stop(here, run_id)
    production = here.producing(run_id)
    if production is None or (here.durable and not _may_be_given_up(here, production, ended=ended)):
        return
    delay = max(here.settings.abandoned_after, RETURN if returns else 0.0)
    if not delay:
        # A task that was never begun runs no `finally`, and its run would never end.
        await asyncio.sleep(0)
        delay = await _still_read(here, production)
        if run_id in here.readers:
            return
    if delay:
        _begin(here, run_id, _watch(here, production, delay))
    else:
        _give_up(here, production)
        await production.ended()


def _may_be_given_up(here: Installation, production: "Production", *, ended: bool) -> bool:
    if ended or here.settings.on_abandoned == "finish":
        return False
    # One that nobody could go on with is not paused: it finishes.
    return here.settings.on_abandoned == "stop" or production.pausable


async def _watch(here: Installation, production: "Production", delay: float) -> None:
    while delay:
        await asyncio.wait({production.task}, timeout=delay)
        if production.task.done():
            return
        delay = await _still_read(here, production)
    _give_up(here, production)


async def _still_read(here: Installation, production: "Production") -> float:
    """In how many seconds a run without readers here may be given up, as far as is known; 0: now.

    The time without readers is counted from the end of the last sign.
    """
    if not here.durable:
        return 0.0
    try:
        unattended = await here.log.unattended(production.run.id)
    except UnknownRunError:
        return 0.0  # nobody can read it any more
    except Exception as error:  # noqa: BLE001 - whatever it is, somebody may be reading
        log.warning("Run %s goes on: who reads it cannot be seen (%r).", production.run.id, error)
        return RENEW
    return max(0.0, here.settings.abandoned_after - unattended)


def _give_up(here: Installation, production: "Production") -> None:
    if production.run.id not in here.readers:
        production.give_up(pause=here.durable and here.settings.on_abandoned == "pause")


async def _sign(here: Installation, run_id: str) -> None:
    """Say that the run is read here, again and again."""
    told = False
    while True:
        # Who produces it in this process sees its readers without.
        if here.producing(run_id) is None:
            try:
                await here.log.attend(run_id, HOLD)
            except UnknownRunError:
                return  # the reader is told by what they read
            except Exception as error:  # noqa: BLE001 - it must not end the reading
                if not told:
                    log.warning("Run %s: its readers here are not seen (%r).", run_id, error)
                told = True
        await asyncio.sleep(RENEW)


def _begin(here: Installation, run_id: str, work: Coroutine[Any, Any, None]) -> None:
    _stop(here, run_id)
    here.lookouts[run_id] = task = asyncio.create_task(work)
    task.add_done_callback(partial(_over, here, run_id))


def _stop(here: Installation, run_id: str) -> None:
    if (task := here.lookouts.pop(run_id, None)) is not None:
        task.cancel()


def _over(here: Installation, run_id: str, task: "asyncio.Task[None]") -> None:
    if here.lookouts.get(run_id) is task:
        del here.lookouts[run_id]
