"""Servers in processes of their own, and the trouble that comes over them.

They are killed and started anew, ended with notice as a deployment ends them, one or all at once,
or stopped for longer than a lease and let go on, not knowing it. Knows nothing of who reads.
"""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.runs import RunLog
from services.settings import ROOT
from tests.functions.serving import READY, clean

# How long a server may take to end that was given notice, in seconds: the command's own patience,
# twice, on a machine that does other things too.
ENOUGH = 15.0

# A server may have so little time for a body, or for an invocation.
HURRIES: tuple[Mapping[str, str], ...] = (
    {},
    {},
    {"RIVERRUN_RESPONSE_SECONDS": "1"},
    {"RIVERRUN_DEADLINE": "2.4"},
)


class BrokenPromiseError(AssertionError):
    """One was broken; the message begins with its name."""


@dataclass
class Server:
    """One server, again and again: `kill` or `end` it, and `start` it anew at the same port.

    What it has to complain of is in the file of its calls with `.errors` behind its name.
    """

    environ: Mapping[str, str]
    options: dict[str, Any]
    port: int = 0
    process: "subprocess.Popen[bytes]" = field(init=False)

    async def start(self) -> None:
        """Start it and wait until it listens."""
        with Path(f"{self.options['calls']}.errors").open("ab") as errors:  # noqa: ASYNC230 - at once
            self.process = subprocess.Popen(  # noqa: ASYNC220 - begun at once
                [sys.executable, "-m", "tests.functions.deployed"],
                cwd=ROOT,
                env=clean(
                    {
                        **self.environ,
                        "PORT": str(self.port),
                        "DEPLOYED": json.dumps(self.options),
                    }
                ),
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        found = READY.match(line.decode())
        assert found is not None, f"the server did not start; see {self.options['calls']}.errors"
        self.port = int(found[1])

    def kill(self) -> None:
        """As the platform does: without a word."""
        self.process.kill()
        self.process.wait()
        self._close()

    async def end(self) -> None:
        """As a deployment does: with SIGTERM, and time to say so."""
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, ENOUGH)
        except subprocess.TimeoutExpired as error:
            raise BrokenPromiseError("P5: a server that was given notice does not end") from error
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


async def trouble(
    servers: Sequence[Server],
    chance: random.Random,
    lease: float,
    log: RunLog,
    *,
    locked: Path | None,
    most: int,
) -> None:
    """Come over `servers` about twice a `lease` (seconds), `most` times at most.

    `log` is theirs; `locked` is a SQLite file that a stranger locks now and then. Raises
    `BrokenPromiseError` where a server that was given notice leaves something behind.
    """
    killed = 0.0
    for _ in range(chance.randint(most // 2, most)):
        await asyncio.sleep(chance.uniform(0.05, 0.8) * lease)
        server = chance.choice(servers)
        what = chance.choice(("kill", "kill", "freeze", "freeze", "lock", "end", "deploy"))
        if what == "kill":
            server.kill()
            killed = time.time()
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            await server.start()
        elif what == "end":
            await server.end()
            await server.start()
        elif what == "deploy":
            await asyncio.gather(*(one.end() for one in servers))
            try:
                await _check_free(log, lease, killed)
            finally:
                await asyncio.gather(*(one.start() for one in servers))
        elif what == "freeze":
            server.process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(chance.uniform(0.05, 2.5) * lease)
            finally:
                server.process.send_signal(signal.SIGCONT)
        elif locked is not None:
            with closing(sqlite3.connect(locked, isolation_level=None, timeout=5)) as file:
                with suppress(sqlite3.OperationalError):
                    file.execute("BEGIN IMMEDIATE")
                await asyncio.sleep(chance.uniform(0.01, 0.4))


async def _check_free(log: RunLog, lease: float, since: float) -> None:
    """No process lives: what is held was taken by one that was killed, before `since`."""
    for summary in await log.list_recent(1000):
        until = summary.run.lease_until
        if not summary.ended and until > time.time() and until - lease > since:
            raise BrokenPromiseError(f"P6: run {summary.run.id} is held by no process")
