"""The clock of a running event loop, which a test sets ahead: what is to time out does so now."""

import asyncio

import pytest

TURNS = 100_000


class LoopClock:
    """The running loop's time, and what a test has added to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        self.ahead = 0.0
        monkeypatch.setattr(loop, "time", lambda: now() + self.ahead)

    async def let_pass(self, seconds: float) -> None:
        """Have so many seconds gone by, and let the loop act on it."""
        self.ahead += seconds
        await asyncio.sleep(0)

    async def read_to_end(self, reader: asyncio.StreamReader, seconds: float) -> bytes:
        """All that comes until the other side ends the connection, whose patience is `seconds`."""
        reading = asyncio.create_task(reader.read())
        for _ in range(TURNS):
            if reading.done():
                break
            await self.let_pass(seconds)
        try:
            async with asyncio.timeout(0):
                return await reading
        except ConnectionResetError:  # closed before it had read what was sent
            return b""
