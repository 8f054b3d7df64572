"""Plain handler functions of ``(event, context)``, in the stock runtime's contract.

A synchronous one runs on a thread of `threads`, where no loop runs; an asynchronous one on the
runtime's loop; an async generator streams what it yields, bytes or text, without any HTTP
meaning. This module knows neither JSON nor the Runtime API.
"""

import contextvars
import inspect
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

from .results import encode_result
from .threads import HandlerThreads


def is_generator_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives an async generator."""
    return _is_kind(inspect.isasyncgenfunction, function)


def is_synchronous(function: Callable[..., Any]) -> bool:
    """Whether calling it does its work, and needs a thread of its own for that."""
    return not (
        _is_kind(inspect.isasyncgenfunction, function)
        or _is_kind(inspect.iscoroutinefunction, function)
    )


async def call(
    function: Callable[..., Any], payload: object, context: object, threads: HandlerThreads
) -> tuple[bytes, str]:
    """Call it and give its result as `encode_result` does. Raises what it raises."""
    if is_synchronous(function):
        job = partial(contextvars.copy_context().run, function, payload, context)
        result = await threads.run(job)
        if inspect.isawaitable(result):
            result = await result
    else:
        result = await function(payload, context)
    return encode_result(result)


async def iterate_frames(
    function: Callable[..., Any], payload: object, context: object
) -> AsyncGenerator[bytes]:
    """What an async generator function yields, as bytes; empty frames are left out."""
    generator = function(payload, context)
    try:
        async for item in generator:
            frame = item.encode() if isinstance(item, str) else bytes(memoryview(item))
            if frame:
                yield frame
    finally:
        await generator.aclose()


def _is_kind(question: Callable[[object], bool], function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return question(function) or question(
        getattr(function, "__call__", None)  # noqa: B004 (its kind is asked, not whether it exists)
    )
