"""One environment of a Web Function: a process with a web server, and its requests.

It is ready once it listens, is never frozen between requests, and ends by SIGTERM and a second.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from emulator.cloudformation import REGION
from emulator.process_group import ProcessGroup
from emulator.sandbox import Log, inherit_environment
from emulator.web_template import WebFunctionSpec

SERVER = Path(__file__).parent / "stock" / "web_server.py"
_PROBE_SECONDS = 0.02


class WebEnvironment(ProcessGroup):
    """A process and what the platform knows of it. `busy` counts its requests.

    `ready` says that it listens, `stale` that it gets no request any more.
    """

    def __init__(
        self,
        spec: WebFunctionSpec,
        *,
        python: str,
        environ: Mapping[str, str],
        log: Log,
        term_seconds: float,
    ) -> None:
        super().__init__(lambda line: log(spec.public, line))
        self.spec = spec
        self.busy = 0
        self.stale = False
        self.ready = False
        self._python = python
        self._environ = environ
        self._term_seconds = term_seconds
        self.port = 0

    async def start(self, limit: float) -> bool:
        """Start, and wait until it listens; False when it has not within `limit` seconds."""
        # Bound here and listened on there: no other process can take the port in between, and a
        # connection is refused until the application was loaded.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
            descriptor = listener.fileno()
            await self._launch(
                (self._python, str(SERVER), str(descriptor)),
                self._environment(),
                cwd=self.spec.root,
                descriptors=(descriptor,),
            )
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

    async def stop(self) -> None:
        """SIGTERM, a second unless told otherwise, SIGKILL."""
        await self._end(grace=self._term_seconds)

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
