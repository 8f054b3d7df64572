"""A Web Function: its environments, and the requests that wait for one.

Many requests share an environment. A request that finds none with room waits for the next one, or
is turned away at once where `MaxEnvironments` are full. Knows nothing of HTTP.
"""

import asyncio
import time
from collections import deque

from emulator.function import Options, ThrottledError
from emulator.sandbox import Log
from emulator.web_environment import WebEnvironment
from emulator.web_template import WebFunctionSpec

# AWS has an account's quota of processors; a laptop has few.
MOST_ENVIRONMENTS = 8


class InitError(Exception):
    """An environment did not come to listen."""


class WebFunction:
    """One Web Function: `start` and `close` are its life, `acquire` and `release` its use."""

    def __init__(self, spec: WebFunctionSpec, options: Options, log: Log) -> None:
        self.spec = spec
        self.sandboxes: list[WebEnvironment] = []
        self._options = options
        self._log = log
        self._closed = False
        self._starting: asyncio.Task[WebEnvironment] | None = None
        self._room = asyncio.Event()
        self._recent: deque[float] = deque()
        self._retired: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        return sum(environment.busy for environment in self.sandboxes)

    @property
    def concurrency(self) -> int:
        """The requests of one environment."""
        return self.spec.concurrency

    async def start(self) -> None:
        """Start the first environment now rather than at the first request."""
        try:
            await self._launch()
        except InitError:
            return  # each request says so

    async def close(self) -> None:
        """End every environment, by SIGTERM and a second."""
        self._closed = True
        if self._starting:
            self._starting.cancel()
        await asyncio.gather(*(environment.stop() for environment in self.sandboxes))
        await asyncio.gather(*self._retired, return_exceptions=True)
        self.sandboxes.clear()

    async def reload(self) -> None:
        """Take the new code as a new revision: new requests meet it, the old one is ended."""
        old = list(self.sandboxes)
        for environment in old:
            environment.stale = True
        await self.start()
        for environment in old:
            self._retire(environment)

    def freeze(self) -> None:
        """Freeze every environment until `thaw`."""
        for environment in self.sandboxes:
            environment.freeze()

    def thaw(self) -> None:
        """Thaw every environment."""
        for environment in self.sandboxes:
            environment.thaw()

    def kill(self) -> None:
        """Kill every environment; the next request starts a new one."""
        for environment in self.sandboxes:
            environment.kill()

    def retire(self) -> None:
        """End every environment with notice, as at a scale-in."""
        for environment in list(self.sandboxes):
            environment.stale = True
            self._retire(environment)

    def check_rate(self) -> None:
        """Raise `ThrottledError` over the rate of the endpoint."""
        limit, now = self.spec.rate_limit, time.monotonic()
        if limit is None:
            return
        while self._recent and self._recent[0] < now - 1:
            self._recent.popleft()
        if len(self._recent) >= limit:
            raise ThrottledError("RateLimitExceeded")
        self._recent.append(now)

    def release(self, environment: WebEnvironment) -> None:
        """Give a place back."""
        environment.busy -= 1
        self._room.set()

    async def acquire(self) -> WebEnvironment:
        """Take a place in an environment. Raises `ThrottledError`, `InitError`."""
        while True:
            usable = [e for e in self.sandboxes if e.alive and not e.stale]
            for environment in usable:
                if environment.ready and environment.busy < self.spec.concurrency:
                    environment.busy += 1
                    return environment
            most = self.spec.max_environments
            if self._starting is None and most is not None and len(usable) >= most:
                raise ThrottledError("MaxEnvironmentsReached")
            if len(usable) >= MOST_ENVIRONMENTS:
                self._room.clear()
                await self._room.wait()
            else:
                await self._launch()

    async def _launch(self) -> WebEnvironment:
        """Start one environment; requests that come meanwhile wait for the same one."""
        if self._closed:
            raise ConnectionAbortedError("the cloud is closing")
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)

    async def _start(self) -> WebEnvironment:
        environment = WebEnvironment(
            self.spec,
            python=self._options.python,
            environ=self._options.environ,
            log=self._log,
            term_seconds=self._options.term_seconds,
        )
        self.sandboxes = [e for e in self.sandboxes if e.alive]
        self.sandboxes.append(environment)
        try:
            if await environment.start(self._options.init_limit):
                return environment
            self._log(self.spec.public, "platform.initReport status failure: it does not listen")
            environment.kill()
            raise InitError
        finally:
            self._starting = None

    def _retire(self, environment: WebEnvironment) -> None:
        async def end() -> None:
            await environment.stop()
            if environment in self.sandboxes:
                self.sandboxes.remove(environment)

        task = asyncio.create_task(end())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
