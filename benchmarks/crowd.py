"""Many paced streams at once in one process, and what each costs."""

import asyncio
import time
from dataclasses import dataclass

from benchmarks import processes
from benchmarks.load import Target, request

SETTLING = 2.0  # seconds after which every stream is being read


@dataclass(frozen=True, slots=True)
class Crowd:
    """`lags` are milliseconds an event was yielded late, `ways` from there to the client.

    `starved` counts the streams that did not get every event; `memory` is bytes a stream.
    """

    lags: list[float]
    ways: list[float]
    starved: int
    memory: float


async def crowd(target: Target, streams: int, events: int, seconds: float) -> Crowd:
    """`streams` clients, each of which reads `events` events, one every `seconds`."""
    await _read(target.port, 1, 0.01, 0.0)
    before = processes.memory(target.group)
    # They come one after the other, as clients do, and not all within one tick of the loop.
    tasks = [
        asyncio.create_task(_read(target.port, events, seconds, number / streams * SETTLING))
        for number in range(streams)
    ]
    await asyncio.sleep(SETTLING + events * seconds / 2)
    memory = (processes.memory(target.group) - before) / streams
    found = await asyncio.gather(*tasks)
    return Crowd(
        lags=[late for one in found for late, _ in one],
        ways=[way for one in found for _, way in one],
        starved=sum(len(one) != events for one in found),
        memory=memory,
    )


async def _read(port: int, events: int, seconds: float, delay: float) -> list[tuple[float, float]]:
    await asyncio.sleep(delay)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(f"/paced?count={events}&seconds={seconds}"))
    seen = []
    try:
        async for line in reader:
            if line.startswith(b"data: "):
                now = time.monotonic_ns()
                due, yielded = (int(part) for part in line.split()[1:3])
                seen.append(((yielded - due) / 1e6, (now - yielded) / 1e6))
    finally:
        writer.close()
    return seen
