"""Plain handler functions of ``(event, context)``, in the stock runtime's contract.

A sync function runs in a thread, where it may call `asyncio.run` as it may under the stock
runtime; an async one on the loop; an async generator streams what it yields, bytes or text,
without any HTTP meaning. This module knows JSON and threads, not the Runtime API.
"""

import asyncio
import contextvars
import inspect
import json
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Any


class MarshalError(ValueError):
    """The function returned something JSON cannot say. Lambda knows it by this name."""


def is_generator_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives an async generator."""
    return inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(
        getattr(function, "__call__", None)  # noqa: B004 (its kind is asked, not whether it exists)
    )


async def call(
    function: Callable[..., Any], payload: object, context: object, threads: Executor | None
) -> bytes:
    """Call it and give its result as JSON. Raises what it raises, and `MarshalError`."""
    if inspect.iscoroutinefunction(function):
        result = await function(payload, context)
    else:
        copy = contextvars.copy_context()
        result = await asyncio.get_running_loop().run_in_executor(
            threads, copy.run, function, payload, context
        )
        if inspect.isawaitable(result):
            result = await result
    try:
        return json.dumps(result, ensure_ascii=False, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MarshalError(f"Unable to marshal response: {error}") from error


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


def _plain(value: object) -> object:
    from decimal import Decimal

    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
