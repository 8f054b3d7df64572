"""Servers in processes of their own: killed, ended with notice, and started anew.

Knows nothing of who reads, nor of what befalls them.
"""

import asyncio
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

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


@dataclass(frozen=True)
class Clock:
    """The wall clock of a server, by a file that it reads."""

    path: Path

    def __post_init__(self) -> None:
        self.set(0.0)

    def set(self, ahead: float) -> None:
        """Set it so many seconds ahead; what the server waits for goes on as before."""
        # By a new file, which is read whole or not yet.
        part = self.path.with_suffix(".part")
        part.write_text(str(ahead))
        part.replace(self.path)


def limit_files(server: "AnyServer", size: int) -> None:
    """Let it write no file beyond `size` bytes, as on a full disk."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class AnyProcess(Protocol):
    """As much of `subprocess.Popen` as trouble needs."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> Any:
        """Its exit status; None while it runs."""

    def send_signal(self, number: signal.Signals, /) -> None:
        """Send a signal."""


class AnyServer(Protocol):
    """A server of a world: on a host of any kind."""

    port: int
    clock: Clock

    @property
    def process(self) -> AnyProcess:
        """The process that takes requests."""

    async def start(self) -> None:
        """Start it and wait until it listens."""

    def kill(self) -> None:
        """Kill it without a word."""

    async def end(self) -> None:
        """End it with notice."""

    async def close(self) -> None:
        """End it for good, frozen or not."""


@dataclass
class Server:
    """One server, again and again: `kill` or `end` it, and `start` it anew at the same port.

    What it has to complain of is in the file of its calls with `.errors` behind its name.
    """

    environ: Mapping[str, str]
    options: dict[str, Any]
    port: int = 0
    process: "subprocess.Popen[bytes]" = field(init=False)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(Path(f"{self.options['calls']}.{id(self)}.clock"))

    async def start(self) -> None:
        """Start it and wait until it listens."""
        with Path(f"{self.options['calls']}.errors").open("ab") as errors:  # noqa: ASYNC230 - at once
            self.process = subprocess.Popen(  # noqa: ASYNC220 - begun at once
                [sys.executable, "-m", "tests.functions.stepped"],
                cwd=ROOT,
                env=clean(
                    {
                        **self.environ,
                        "PORT": str(self.port),
                        "CLOCK": str(self.clock.path),
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

    async def close(self) -> None:
        """End it for good, frozen or not."""
        self.process.send_signal(signal.SIGCONT)
        self.kill()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
