"""SnapStart: one warmed image, many sandboxes restored from it.

Runs the hooks that applications register with AWS's `snapshot_restore_py`, in its order, and
makes sure that two sandboxes of one image do not share randomness or sockets. Which requests
that takes is in `wire`; who calls this is `start`.
"""

import importlib
import inspect
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

from . import wire
from .client import RuntimeApiConnection

logger = logging.getLogger(__name__)

Hook = tuple[Callable[..., Any], Sequence[Any], dict[str, Any]]


async def before_snapshot() -> None:
    """Run the before-snapshot hooks, last registered first. Raises what they raise."""
    hooks = _find_hooks("get_before_snapshot")
    while hooks:
        await _run(hooks.pop())


async def wait_for_restore(api_connection: RuntimeApiConnection) -> None:
    """Sleep through the snapshot, and wake up as a sandbox of its own.

    The random state is in every copy. So is `api_connection`, whose socket was open on another
    machine: its owner closes it and begins with a new one.
    """
    reply = await api_connection.get(wire.RESTORE_NEXT)
    if reply.status != 200:
        logger.warning("GET /restore/next answered %d; going on without it.", reply.status)
    random.seed()


async def after_restore() -> None:
    """Run the after-restore hooks in the order of registration. Raises what they raise."""
    for hook in list(_find_hooks("get_after_restore")):
        await _run(hook)


def _find_hooks(which: str) -> list[Hook]:
    try:
        snapshot_restore = importlib.import_module("snapshot_restore_py")
    except ImportError:  # it comes with Lambda's Python runtimes; without it there are no hooks
        return []
    hooks: list[Hook] = getattr(snapshot_restore, which)()
    return hooks


async def _run(hook: Hook) -> None:
    function, arguments, options = hook
    result = function(*arguments, **options)
    if inspect.isawaitable(result):
        await result
