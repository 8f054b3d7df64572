"""A Web Function as one of the servers of a history: its environment in a process, its endpoint.

The endpoint cuts a response at the function's timeout as if it were whole, and tells the
application nothing of a client that left: what AWS may do at the worst.
"""

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.faults import Faults
from emulator.fronts import FrontOptions
from emulator.function import Options
from emulator.server import Server as Listener
from emulator.server import listen
from emulator.web_environment import WebEnvironment
from emulator.web_front import Endpoint
from emulator.web_function import WebFunction
from emulator.web_template import WebFunctionSpec
from services.settings import ROOT
from tests.functions.servers import ENOUGH, BrokenPromiseError, Clock
from tests.functions.serving import clean

# How long an environment may take to start on a machine that does other things too.
PATIENCE = 60.0
TIMEOUT = 900.0


@dataclass(frozen=True)
class EnvironmentProcess:
    """An environment as `subprocess.Popen` shows a process."""

    environment: WebEnvironment

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.environment.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        exited = self.environment.exited
        return exited.result() if exited.done() else None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended gets none."""
        if self.environment.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ClosableWebFunction(WebFunction):
    """Gives no request a place while `door` is closed, so that none starts an environment."""

    def __init__(self, spec: WebFunctionSpec, options: Options, log: Any) -> None:
        super().__init__(spec, options, log)
        self.door = asyncio.Event()

    async def acquire(self) -> WebEnvironment:
        """Take a place once the door is open."""
        await self.door.wait()
        return await super().acquire()


class WebServer:
    """One Web Function, again and again: `kill` or `end` it, and `start` it anew."""

    def __init__(self, environ: Mapping[str, str], options: dict[str, Any]) -> None:
        self.port = 0
        self.clock = Clock(Path(f"{options['calls']}.{id(self)}.clock"))
        self._errors = Path(f"{options['calls']}.errors")
        own = {
            "AWS_LAMBDA_PYTHON_ENTRYPOINT": "asgi:tests.functions.deployed_web:app",
            "CLOCK": str(self.clock.path),
            "DEPLOYED": json.dumps(options),
        }
        self._function = ClosableWebFunction(
            WebFunctionSpec(
                name="web",
                logical_id="web",
                root=ROOT,
                timeout=float(environ.get("RIVERRUN_WEB_TIMEOUT", TIMEOUT)),
                environment=own,
            ),
            Options(environ=clean(environ), init_limit=PATIENCE, term_seconds=ENOUGH),
            self._log,
        )
        self._listener: Listener | None = None
        self._process: EnvironmentProcess | None = None

    @property
    def process(self) -> EnvironmentProcess:
        """The environment that takes requests now, or took them last."""
        for environment in self._function.sandboxes:
            if environment.ready and environment.alive and not environment.stale:
                self._process = EnvironmentProcess(environment)
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Start an environment, wait until it listens, and open the door."""
        if self._listener is None:
            options = FrontOptions(faults=Faults(()), log=self._log)
            endpoint = Endpoint(function=self._function, front_options=options)
            self._listener = await listen(endpoint.handle)
            self.port = self._listener.port
        await asyncio.gather(*(e.exited for e in self._function.sandboxes if not e.stale))
        await self._function.start()
        assert self.process.returncode is None, f"it did not start; see {self._errors}"
        self._function.door.set()

    def kill(self) -> None:
        """As the platform does: without a word."""
        self._function.door.clear()
        self._function.kill()

    async def end(self) -> None:
        """As at a scale-in: with SIGTERM, and time to say so."""
        ending = [e for e in self._function.sandboxes if e.alive]
        self._function.door.clear()
        self._function.retire()
        await asyncio.gather(*(environment.exited for environment in ending))
        if any(environment.exited.result() == -signal.SIGKILL for environment in ending):
            raise BrokenPromiseError("P5: an environment that was given notice does not end")

    async def close(self) -> None:
        """End it for good."""
        self._function.kill()
        await self._function.close()
        if self._listener is not None:
            await self._listener.close()

    def _log(self, _name: str, line: str) -> None:
        with self._errors.open("a") as errors:
            errors.write(f"{line}\n")
