"""Servers in processes of their own, and the trouble that comes over them.

They are killed and started anew, or stopped for longer than a lease and let go on, not knowing it.
Knows nothing of who reads from them.
"""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.settings import ROOT
from tests.functions.serving import clean

# A server may have so little time for a body, or for an invocation.
HURRIES: tuple[Mapping[str, str], ...] = (
    {},
    {},
    {"RIVERRUN_FRONT_CAP": "1"},
    {"RIVERRUN_DEADLINE": "2.4"},
)


@dataclass
class Server:
    """One server, again and again: `kill` it and it is started anew at the same port.

    What it has to complain of is in the file of its calls with `.errors` behind its name.
    """

    environ: Mapping[str, str]
    options: dict[str, Any]
    port: int = 0
    process: "subprocess.Popen[bytes]" = field(init=False)

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self.options["port"] = self.port
        with Path(f"{self.options['calls']}.errors").open("ab") as errors:  # noqa: ASYNC230 - at once
            self.process = subprocess.Popen(  # noqa: ASYNC220 - begun at once
                [sys.executable, "-m", "tests.functions.deployed"],
                cwd=ROOT,
                env=clean({**self.environ, "DEPLOYED": json.dumps(self.options)}),
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        self.port = int(line)

    def kill(self) -> None:
        """As the platform does: without a word."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


async def trouble(
    servers: Sequence[Server],
    chance: random.Random,
    lease: float,
    locked: Path | None,
    most: int,
) -> None:
    """Come over `servers` about twice a `lease` (seconds), `most` times at most.

    `locked` is a SQLite file that a stranger locks now and then.
    """
    for _ in range(chance.randint(most // 2, most)):
        await asyncio.sleep(chance.uniform(0.05, 0.8) * lease)
        server = chance.choice(servers)
        what = chance.choice(("kill", "kill", "freeze", "lock"))
        if what == "kill":
            server.kill()
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            await server.start()
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
