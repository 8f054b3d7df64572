"""A run that nobody reads, in this process or another, and when it is given up.

A process knows the readers that it serves. Of the others it sees a sign in the log, which they
leave for as long as they read; nobody takes it back, it runs out. Only where the installation
gives runs up (`RIVERRUN_ON_ABANDONED`) and other processes can read them is one left or looked for.
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

from ...runs import UnknownRunError
from ..app import App
from ..run.registry import LiveTask

logger = logging.getLogger("riverrun.run")

# How long a reader who was sent off may take to come back before they count as gone, in seconds.
RECONNECT_GRACE = 10.0

# How often a sign is renewed, and a store that failed is asked again, in seconds.
RENEW_INTERVAL = 2.0

# How long a sign holds, in seconds. One who is sent off is then still counted for as long as they
# may take to come back, without a last write at the moment when a body has to end; and a store may
# fail for as long before a reader loses the run.
PRESENCE_TTL = RECONNECT_GRACE + RENEW_INTERVAL


def on_first_reader(app: App, run_id: str) -> None:
    """The first reader of a run has come here: other processes are told while there is one."""
    if app.log.is_durable and app.settings.on_abandoned != "finish":
        _start_task(app, run_id, _renew(app, run_id))


async def on_last_reader_left(app: App, run_id: str, *, will_return: bool, is_over: bool) -> None:
    """The last reader of a run has left here, perhaps one who `will_resume`, perhaps at its end."""
    _cancel_task(app, run_id)
    task = app.live.find_task(run_id)
    if task is None or (app.log.is_durable and not _may_abandon(app, task, is_over=is_over)):
        return
    delay = max(app.settings.abandoned_after, RECONNECT_GRACE if will_return else 0.0)
    if not delay:
        # A task that was never begun runs no `finally`, and its run would never end.
        await asyncio.sleep(0)
        delay = await _seconds_until_abandoned(app, task)
        if run_id in app.live.readers:
            return
    if delay:
        _start_task(app, run_id, _abandon_when_unread(app, task, delay))
    else:
        _abandon(app, task)
        await task.wait()


def _may_abandon(app: App, task: LiveTask, *, is_over: bool) -> bool:
    if is_over or app.settings.on_abandoned == "finish":
        return False
    # One that nobody could go on with is not paused: it finishes.
    return app.settings.on_abandoned == "stop" or task.can_pause


async def _abandon_when_unread(app: App, task: LiveTask, delay: float) -> None:
    while delay:
        await asyncio.wait({task.task}, timeout=delay)
        if task.task.done():
            return
        delay = await _seconds_until_abandoned(app, task)
    _abandon(app, task)


async def _seconds_until_abandoned(app: App, task: LiveTask) -> float:
    """In how many seconds a run without readers here may be given up, as far as is known; 0: now.

    The time without readers is counted from the end of the last sign.
    """
    if not app.log.is_durable:
        return 0.0
    try:
        unattended = await app.log.seconds_unread(task.run.id)
    except UnknownRunError:
        return 0.0  # nobody can read it any more
    except Exception as error:  # noqa: BLE001 - whatever it is, somebody may be reading
        logger.warning("Run %s goes on: who reads it cannot be seen (%r).", task.run.id, error)
        return RENEW_INTERVAL
    return max(0.0, app.settings.abandoned_after - unattended)


def _abandon(app: App, task: LiveTask) -> None:
    if task.run.id not in app.live.readers:
        task.abandon(pause=app.log.is_durable and app.settings.on_abandoned == "pause")


async def _renew(app: App, run_id: str) -> None:
    """Say that the run is read here, again and again."""
    told = False
    while True:
        # Who produces it in this process sees its readers without.
        if app.live.find_task(run_id) is None:
            try:
                await app.log.mark_read(run_id, PRESENCE_TTL)
            except UnknownRunError:
                return  # the reader is told by what they read
            except Exception as error:  # noqa: BLE001 - it must not end the reading
                if not told:
                    logger.warning("Run %s: its readers here are not seen (%r).", run_id, error)
                told = True
        await asyncio.sleep(RENEW_INTERVAL)


def _start_task(app: App, run_id: str, work: Coroutine[Any, Any, None]) -> None:
    _cancel_task(app, run_id)
    app.live.presence_tasks[run_id] = task = asyncio.create_task(work)
    task.add_done_callback(partial(_forget_task, app, run_id))


def _cancel_task(app: App, run_id: str) -> None:
    if (task := app.live.presence_tasks.pop(run_id, None)) is not None:
        task.cancel()


def _forget_task(app: App, run_id: str, task: "asyncio.Task[None]") -> None:
    if app.live.presence_tasks.get(run_id) is task:
        del app.live.presence_tasks[run_id]
