"""Watch over the readers of a run, here and in other processes, and abandon a run without any.

A process knows the readers that it serves. Those of other processes leave a mark in the log for as
long as they read; the mark is never taken back, it runs out. Marks are left and read only where
the settings abandon runs (`RIVERRUN_ON_ABANDONED`) and other processes can read them.
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

# How long a reader whose body was ended may take to come back before it counts as gone, in
# seconds.
RECONNECT_GRACE = 10.0

# How often a mark is renewed, and a store that failed is asked again, in seconds.
RENEW_INTERVAL = 2.0

# How long a mark holds, in seconds. A reader whose body ended still counts for as long as it
# may take to come back, without a last write at the moment when its body has to end; and a store
# may fail for as long before a reader loses the run.
PRESENCE_TTL = RECONNECT_GRACE + RENEW_INTERVAL


def on_first_reader(app: App, run_id: str) -> None:
    """Mark the run as read, for other processes, from its first reader here to its last."""
    if app.log.is_durable and app.settings.on_abandoned != "finish":
        _start_task(app, run_id, _renew(app, run_id))


async def on_last_reader_left(app: App, run_id: str, *, will_return: bool, is_over: bool) -> None:
    """Abandon the run, now or later, if that was the last reader of a run produced here.

    A reader that `will_return` has a moment to do so; a run that `is_over` is let finish.
    """
    _cancel_task(app, run_id)
    task = app.live.find_unpaused_task(run_id)
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
    # A run that no other process could go on with is not paused: it finishes.
    return app.settings.on_abandoned == "stop" or task.can_pause


async def _abandon_when_unread(app: App, task: LiveTask, delay: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + delay
    while (remaining := end - loop.time()) > 0:
        # How old a mark is, only a look at it before it runs out tells (`RunLog.seconds_unread`).
        until_look = max(RENEW_INTERVAL, remaining - PRESENCE_TTL)
        await asyncio.wait({task.task}, timeout=min(remaining, until_look))
        if task.task.done():
            return
        end = max(end, loop.time() + await _seconds_until_abandoned(app, task))
    _abandon(app, task)


async def _seconds_until_abandoned(app: App, task: LiveTask) -> float:
    """Return in how many seconds a run without readers here may be abandoned, as far as is known.

    The time without readers is counted from the end of the last mark.
    """
    if not app.log.is_durable:
        return 0.0
    try:
        unread = await app.log.seconds_unread(task.run.id)
    except UnknownRunError:
        return 0.0  # it is not kept any longer: no reader can read it
    except Exception as error:  # noqa: BLE001 - whatever it is, there may be readers
        logger.warning(
            "Run %s goes on: its readers elsewhere cannot be seen (%r).", task.run.id, error
        )
        return RENEW_INTERVAL
    return max(0.0, app.settings.abandoned_after - unread)


def _abandon(app: App, task: LiveTask) -> None:
    if task.run.id not in app.live.readers:
        task.abandon(keeps_run=app.log.is_durable and app.settings.on_abandoned == "pause")


async def _renew(app: App, run_id: str) -> None:
    """Renew the mark that the run is read here, again and again."""
    is_warned = False
    while True:
        # A task of this process sees the readers here without a mark.
        if app.live.find_unpaused_task(run_id) is None:
            try:
                await app.log.mark_read(run_id, PRESENCE_TTL)
            except UnknownRunError:
                return  # the reader finds that out by what it reads
            except Exception as error:  # noqa: BLE001 - it must not end the reading
                if not is_warned:
                    logger.warning("Run %s: its readers here are not seen (%r).", run_id, error)
                is_warned = True
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
