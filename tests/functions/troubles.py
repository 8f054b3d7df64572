"""The trouble that comes over servers.

They are killed and started anew, ended with notice as a deployment ends them, one or all at once,
or stopped for longer than a lease and let go on, not knowing it; their clocks step, and their
store is locked, full or removed. Knows nothing of who reads.
"""

import asyncio
import random
import resource
import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from services.runs import RunLog
from tests.functions.incidents import Journal
from tests.functions.losses import Losses
from tests.functions.servers import AnyServer, BrokenPromiseError, limit_files
from tests.functions.wire import CutError, Response, get


@dataclass
class Troubles:
    """What comes over `servers`, which share `log`: `chance` decides, `lease` is the measure.

    `losses` is told what they may lose; where they share a SQLite file, that is locked by another
    program now and then, its disk is full, and where it does not keep what it deletes, it is
    removed. What befalls a server is noted in `journal`.
    Raises `BrokenPromiseError` where a server that was given notice leaves something behind.
    """

    servers: Sequence[AnyServer]
    chance: random.Random
    lease: float
    log: RunLog
    journal: Journal
    losses: Losses
    removes: bool = False
    orphans: set[tuple[str, int]] = field(default_factory=set)

    async def come(self, most: int) -> None:
        """Come about twice a lease, `most` times at most."""
        kinds = [self.kill, self.kill, self.freeze, self.freeze, self.end, self.deploy]
        kinds += [self.step_clock, self.step_all_clocks, self.sleep]
        if self.losses.path is not None:
            kinds += [self.lock, self.lock_for_long, self.fill_disk]
        if self.removes:
            kinds += [self.remove_file, self.remove_side_file]
        for _ in range(self.chance.randint(most // 2, most)):
            await asyncio.sleep(self.chance.uniform(0.05, 0.8) * self.lease)
            await self.chance.choice(kinds)()

    async def kill(self) -> None:
        """Kill one, and start it anew soon."""
        server = self.chance.choice(self.servers)
        self.journal.note(server.process.pid, "killed", time.monotonic())
        server.kill()
        # What was held then may have lost its producer.
        self.orphans |= set(await _list_held(self.log))
        await asyncio.sleep(self.chance.uniform(0.0, 0.3))
        await server.start()

    async def end(self) -> None:
        """End one with notice."""
        server = self.chance.choice(self.servers)
        self.journal.note(server.process.pid, "ended", time.monotonic())
        await server.end()
        await server.start()

    async def deploy(self) -> None:
        """End all of them with notice, at once."""
        for one in self.servers:
            self.journal.note(one.process.pid, "ended", time.monotonic())
        await asyncio.gather(*(one.end() for one in self.servers))
        try:
            held = await _list_held(self.log)
            unclear = self.journal.list_unclear()
            for run_id, epoch in held:
                if (run_id, epoch) not in self.orphans and run_id not in unclear:
                    raise BrokenPromiseError(f"P6: run {run_id} is held by no process")
        finally:
            await asyncio.gather(*(one.start() for one in self.servers))

    async def freeze(self) -> None:
        """Stop one for up to some leases; it does not know it."""
        await self._freeze([self.chance.choice(self.servers)])

    async def sleep(self) -> None:
        """Stop all of them, as when a laptop is closed; the clocks have gone on when they wake."""
        await self._freeze(self.servers)
        for server in self.servers:
            server.clock.set(900.0)

    async def step_clock(self) -> None:
        """Set the clock of one by minutes, in either direction."""
        server = self.chance.choice(self.servers)
        server.clock.set(self.chance.choice((-1, 1)) * self.chance.uniform(60.0, 1200.0))

    async def step_all_clocks(self) -> None:
        """Set the clocks of all of them alike."""
        ahead = self.chance.choice((-1, 1)) * self.chance.uniform(60.0, 1200.0)
        for server in self.servers:
            server.clock.set(ahead)

    async def lock(self) -> None:
        """Have another program write into the file for a moment."""
        await self._lock(self.chance.uniform(0.01, 0.4))

    async def lock_for_long(self) -> None:
        """Have another program hold the file for longer than leases last."""
        await self._lock(self.chance.uniform(1.0, 4.0) * self.lease)

    async def fill_disk(self) -> None:
        """Leave no room for the files of any of them, for a while."""
        path = self.losses.path
        assert path is not None
        wal = path.with_name(path.name + "-wal")
        size = max((one.stat().st_size for one in (path, wal) if one.exists()), default=0)
        for server in self.servers:
            limit_files(server, size)
        try:
            await asyncio.sleep(self.chance.uniform(0.2, 3.0) * self.lease)
        finally:
            for server in self.servers:
                limit_files(server, resource.RLIM_INFINITY)
        # A lease that had to be let go meanwhile could not be.
        self.orphans |= set(await _list_held(self.log))

    async def remove_file(self) -> None:
        """Remove the file, as `make clean` does; who has it open hears of it soon or later."""
        await self._remove(("", "-wal", "-shm"))
        if self.chance.random() < 0.5:
            await self._look_at_file()

    async def remove_side_file(self) -> None:
        """Remove only a part of it."""
        await self._remove(self.chance.choice((("-wal",), ("-shm",), ("-wal", "-shm"), ("",))))
        # What a process wrote after that, and before it looks, may be lost where it was killed.
        await self._look_at_file()

    async def _remove(self, suffixes: tuple[str, ...]) -> None:
        # A process that has no file open yet finds none, and what was in it is in no other.
        await self._look_at_file()
        await asyncio.to_thread(self.losses.remove_files, suffixes)

    async def _look_at_file(self) -> None:
        """Ask each server something of the log."""
        await asyncio.gather(*(self._ask_state(server.port) for server in self.servers))

    async def _ask_state(self, port: int) -> None:
        with suppress(CutError):
            async with Response(port, get(f"/api/chat/runs/{'0' * 32}")) as response:
                assert response.status in (404, 429, 500, 503), response.status

    async def _lock(self, seconds: float) -> None:
        assert self.losses.path is not None
        with closing(sqlite3.connect(self.losses.path, isolation_level=None, timeout=5)) as file:
            with suppress(sqlite3.OperationalError):
                file.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)

    async def _freeze(self, servers: Sequence[AnyServer]) -> None:
        since = time.monotonic()
        for server in servers:
            server.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.chance.uniform(0.05, 2.5) * self.lease)
        finally:
            for server in servers:
                server.process.send_signal(signal.SIGCONT)
                self.journal.note(server.process.pid, "frozen", since, time.monotonic())


async def _list_held(log: RunLog) -> list[tuple[str, int]]:
    """The runs that go on and are held, each with its epoch.

    One without an entry may be one whose start failed, and was applied all the same.
    """
    found = await log.list_recent(1000)
    runs = [summary.run for summary in found if not summary.ended and summary.last > 0]
    return [(run.id, run.epoch) for run in runs if not run.is_free]
