"""One environment of a Web Function: a process with a web server, and its requests.

It is ready once it listens, is never frozen between requests, and ends by SIGTERM and a second.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from emulator.cloudformation import REGION
from emulator.sandbox import Log, die_with_parent, inherit_environment
from emulator.web_template import WebFunctionSpec

SERVER = Path(__file__).parent / "stock" / "web_server.py"
TERM_SECONDS = 1.0
_PROBE_SECONDS = 0.02


class WebEnvironment:
    """A process and what the platform knows of it. `busy` counts its requests.

    `ready` says that it listens, `stale` that it gets no request any more.
    """

    def __init__(
        self, spec: WebFunctionSpec, *, python: str, environ: Mapping[str, str], log: Log
    ) -> None:
        self.spec = spec
        self.busy = 0
        self.frozen = False
        self.stale = False
        self.ready = False
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._python = python
        self._environ = environ
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and not self.exited.done()

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    async def start(self, limit: float) -> bool:
        """Start, and wait until it listens; False when it has not within `limit` seconds."""
        # Bound here and listened on there: no other process can take the port in between, and a
        # connection is refused until the application was loaded.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
            self._process = await asyncio.create_subprocess_exec(
                self._python,
                str(SERVER),
                str(listener.fileno()),
                cwd=self.spec.root,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                pass_fds=(listener.fileno(),),
                preexec_fn=die_with_parent() if sys.platform == "linux" else None,
            )
        process = self._process
        self._tasks = [
            asyncio.create_task(self._pump(pipe))
            for pipe in (process.stdout, process.stderr)
            if pipe
        ]
        self._tasks.append(asyncio.create_task(self._wait(process)))
        try:
            async with asyncio.timeout(limit):
                return await self._listens()
        except TimeoutError:
            return False

    async def _listens(self) -> bool:
        while self.alive:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionRefusedError:
                await asyncio.sleep(_PROBE_SECONDS)
            else:
                writer.close()
                self.ready = True
                return True
        return False

    def freeze(self) -> None:
        """Stop the processor; AWS does not, a fault may."""
        self.frozen = True
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self.frozen = False
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, a second, SIGKILL."""
        if self.alive:
            self.thaw()
            self._signal(signal.SIGTERM)
            await asyncio.wait((self.exited,), timeout=TERM_SECONDS)
        self.kill()
        if self._process:
            await asyncio.wait((self.exited,), timeout=5)
            await asyncio.wait(self._tasks, timeout=1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _environment(self) -> dict[str, str]:
        own = {
            "AWS_LAMBDA_HTTP_ENDPOINT": f"127.0.0.1:{self.port}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "native-http",
            "AWS_LAMBDA_METADATA_API": "169.254.100.1:9001",
            "AWS_LAMBDA_METADATA_TOKEN": os.urandom(16).hex(),
            # Set there too, and no sign of an event function.
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
            "AWS_REGION": REGION,
            "PYTHONUNBUFFERED": "1",
        }
        return {**inherit_environment(self._environ, self.spec.environment), **own}

    def _signal(self, number: signal.Signals) -> None:
        if self.alive and self._process:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    async def _pump(self, pipe: asyncio.StreamReader) -> None:
        while line := await pipe.readline():
            self._log(self.spec.public, line.decode("utf-8", "replace").rstrip("\n"))

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        if not self.exited.done():
            self.exited.set_result(status)
