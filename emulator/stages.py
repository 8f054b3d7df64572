"""What can happen to a body on its way: a stage takes bytes and gives bytes.

Faults, the platform's bandwidth limit, and the idle cut are all stages. They know neither
Lambda nor HTTP; time is asyncio's.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from emulator.faults import Fault
from emulator.invocation import BrokenResponseError, failure

# Lambda's own limit: 6 MiB at once, then 256 KiB every 125 ms (2 MiB a second).
BURST = 6 * 1024 * 1024
RATE = 2.0 * 1024 * 1024
_TICK = 0.125

Stream = AsyncGenerator[bytes, None]

# Faults that happen to the function, before its bytes are framed for an SDK caller.
INNER = frozenset({"stall", "freeze", "kill", "throttle", "idle"})


class Freezable(Protocol):
    """The process that a body comes from, as faults treat it."""

    exited: "asyncio.Future[int]"

    def freeze(self) -> None:
        """Stop its processor."""

    def thaw(self) -> None:
        """Let it run again."""

    def kill(self) -> None:
        """End it at once."""


class CutError(Exception):
    """The connection is to be cut here."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("cut")
        self.reset = reset


def spoil(body: Stream, faults: Sequence[Fault], sandbox: Freezable) -> Stream:
    """Lead a body through the stages its faults ask for, in their order."""
    for fault in faults:
        match fault.kind:
            case "split":
                body = split(body, fault.size)
            case "coalesce":
                body = coalesce(body, fault.size)
            case "throttle":
                body = throttle(body, fault.burst, fault.rate)
            case "idle":
                body = idle(body, fault.seconds)
            case "cut" | "reset" | "stall" | "freeze" | "kill":
                body = at(body, fault.at, _action(fault, sandbox))
            case _:
                pass
    return body


def _action(fault: Fault, sandbox: Freezable) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        match fault.kind:
            case "stall":
                await asyncio.sleep(fault.seconds)
            case "freeze":
                sandbox.freeze()
                if fault.seconds:
                    loop = asyncio.get_running_loop()
                    loop.call_later(fault.seconds, sandbox.thaw)
            case "kill":
                sandbox.kill()
                await sandbox.exited
                raise BrokenResponseError(failure("Runtime.ExitError", "signal: SIGKILL"))
            case kind:
                raise CutError(reset=kind == "reset")

    return act


async def at(body: Stream, offset: int, act: Callable[[], Awaitable[None]]) -> Stream:
    """Act when exactly `offset` bytes have passed, once; never when there are fewer."""
    passed = 0
    done = False
    async for data in body:
        if not done and passed + len(data) > offset:
            done = True
            if before := data[: offset - passed]:
                yield before
            await act()
            yield data[offset - passed :]
        else:
            yield data
        passed += len(data)
    if not done and passed == offset:
        await act()


async def split(body: Stream, size: int) -> Stream:
    """Pieces of `size` bytes, with a turn of the event loop between them."""
    async for data in body:
        for start in range(0, len(data), size):
            yield data[start : start + size]
            await asyncio.sleep(0)


async def coalesce(body: Stream, size: int) -> Stream:
    """Nothing until `size` bytes have come, then all of them; the rest at the end."""
    held: list[bytes] = []
    length = 0
    async for data in body:
        held.append(data)
        length += len(data)
        if length >= size:
            yield b"".join(held)
            held.clear()
            length = 0
    if held:
        yield b"".join(held)


async def throttle(body: Stream, burst: int = BURST, rate: float = RATE) -> Stream:
    """A token bucket: full at first, refilled every eighth of a second up to `burst`."""
    now = asyncio.get_running_loop().time
    capacity = max(float(burst), rate * _TICK, 1.0)
    tokens, filled = float(burst), now()
    async for data in body:
        start = 0
        while start < len(data):
            ticks = int((now() - filled) / _TICK)
            tokens = min(capacity, tokens + ticks * rate * _TICK)
            filled += ticks * _TICK
            if tokens < 1:
                await asyncio.sleep(filled + _TICK - now())
                continue
            piece = data[start : start + int(tokens)]
            yield piece
            start += len(piece)
            tokens -= len(piece)


async def idle(body: Stream, seconds: float) -> Stream:
    """Cut when nothing comes for `seconds`."""
    async with aclosing(body) as source:
        while True:
            try:
                async with asyncio.timeout(seconds):
                    data = await anext(source, None)
            except TimeoutError:
                raise CutError from None
            if data is None:
                return
            yield data
