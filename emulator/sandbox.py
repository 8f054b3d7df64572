"""One execution environment: a process, its Runtime API, its logs.

It can be frozen, thawed and killed, as the platform does. Knows nothing of who invokes it.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from emulator.cloudformation import REGION
from emulator.invocation import failure
from emulator.process_group import ProcessGroup
from emulator.runtime_api import Refusal, RuntimeApi
from emulator.template import TASK_ROOT, FunctionSpec

STOCK = Path(__file__).parent / "stock" / "bootstrap.py"

# What a function may inherit from the person's shell: how to find programs and services.
_INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE")
_INHERITED_PREFIXES = ("AWS_", "OPENAI_", "PYTHON", "VIRTUAL_ENV")
_WINNING_PREFIXES = ("RIVERRUN_", "AWS_ENDPOINT_URL", "OPENAI_")

_TAIL_LINES = 200
_EXTENSION_GRACE = 0.5
_SETTLE = 0.3

Log = Callable[[str, str], None]


class Sandbox(ProcessGroup):
    """A function's process and what the platform knows of it. `tail` holds the last log lines."""

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        concurrency: int | None,
        python: str = sys.executable,
        environ: Mapping[str, str],
        log: Log,
        on_idle: Callable[["Sandbox"], None],
        refusal: Refusal = lambda _: None,
    ) -> None:
        super().__init__(self._say)
        self.spec = spec
        self.stale = False
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.api = RuntimeApi(
            concurrency,
            snap_start=spec.snap_start and concurrency is None,
            on_idle=lambda: on_idle(self),
            refusal=refusal,
            settle=self._settle,
        )
        self._concurrency = concurrency
        self._python = python
        self._environ = environ
        self._log = log
        self._started: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process. It speaks for itself from then on: see `api.ready`, `exited`."""
        # A task of its own: a start that is cancelled half-way would leave a process behind.
        self._started = asyncio.create_task(self._start())
        await asyncio.shield(self._started)

    async def wait_initialised(self, limit: float) -> bool:
        """Wait for the end of the init phase; False when `limit` seconds pass first.

        After True, look at `alive` and `api.init_error`.
        """
        ready = asyncio.ensure_future(self.api.ready.wait())
        try:
            await asyncio.wait(
                (ready, self.exited), timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
            return ready.done() or self.exited.done()
        finally:
            ready.cancel()

    async def stop(self) -> None:
        """End the process: SIGTERM first for one that registered an extension, else SIGKILL."""
        if self._started:
            await asyncio.wait((self._started,))
        await self._end(grace=_EXTENSION_GRACE if self.api.has_extension else 0)
        await self.api.close()

    async def _start(self) -> None:
        await self.api.start()
        command = self._command()
        environment = sandbox_environment(
            self.spec, self.api.address, self._concurrency, self._environ
        )
        try:
            root = self.spec.root
            await self._launch(command, environment, cwd=root if root.is_dir() else None)
        except OSError as error:
            self._say(f"{command[0]}: {error.strerror}")
            await self._over(126 if isinstance(error, PermissionError) else 127)

    def _command(self) -> list[str]:
        stock = [self._python, str(STOCK)]
        wrapper = self.spec.wrapper
        if not wrapper and self.spec.runtime.startswith("provided"):
            return [str(self.spec.root / "bootstrap")]
        if not wrapper:
            return stock
        inside = Path(wrapper)
        with contextlib.suppress(ValueError):
            inside = self.spec.root / inside.relative_to(TASK_ROOT)
        return [str(inside), *stock]

    def _say(self, text: str) -> None:
        # One log record may hold several lines, joined by CR as Lambda's text format does.
        for line in text.rstrip("\r").split("\r"):
            self.tail.append(line)
            self._log(self.spec.public, line)

    async def _over(self, status: int) -> None:
        how = f"exit status {status}" if status >= 0 else f"signal: {signal.Signals(-status).name}"
        if self.api.busy:
            self._say(f"Runtime exited with error: {how}")
        error = failure("Runtime.ExitError", f"Runtime exited with error: {how}")
        self.api.posts.exit_error = self.api.init_error or error
        self.exited.set_result(status)
        await self.api.bury(self.api.posts.exit_error)

    async def _settle(self) -> None:
        await asyncio.wait((self.exited,), timeout=_SETTLE)


def inherit_environment(environ: Mapping[str, str], template: Mapping[str, str]) -> dict[str, str]:
    """The shell's few, the template's, then what the person set for this run."""
    result = {
        name: value
        for name, value in environ.items()
        if (name in _INHERITED or name.startswith(_INHERITED_PREFIXES))
        and not name.startswith("AWS_LAMBDA_")
    }
    result.setdefault("AWS_REGION", result.get("AWS_DEFAULT_REGION", REGION))
    result.setdefault("AWS_DEFAULT_REGION", result["AWS_REGION"])
    result.update(template)
    result.update((n, v) for n, v in environ.items() if n.startswith(_WINNING_PREFIXES))
    return result


def sandbox_environment(
    spec: FunctionSpec, api: str, concurrency: int | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a function's process.

    The shell's few, then the template's, then what the person set for this run
    (`RIVERRUN_*`, endpoints, `OPENAI_*`), then what the platform alone may say.
    """
    result = inherit_environment(environ, spec.environment)
    initialization = "snap-start" if spec.snap_start and concurrency is None else "on-demand"
    result.update(
        _HANDLER=spec.handler,
        LAMBDA_TASK_ROOT=str(spec.root),
        LAMBDA_RUNTIME_DIR=str(STOCK.parent),
        AWS_LAMBDA_RUNTIME_API=api,
        AWS_LAMBDA_FUNCTION_NAME=spec.name,
        AWS_LAMBDA_FUNCTION_VERSION="$LATEST",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(spec.memory),
        AWS_LAMBDA_LOG_GROUP_NAME=f"/aws/lambda/{spec.name}",
        AWS_LAMBDA_LOG_STREAM_NAME=f"{time.strftime('%Y/%m/%d')}/[$LATEST]{os.urandom(16).hex()}",
        AWS_LAMBDA_INITIALIZATION_TYPE=initialization,
        AWS_EXECUTION_ENV=f"AWS_Lambda_{spec.runtime}",
        PYTHONUNBUFFERED="1",
    )
    if concurrency is not None:
        result["AWS_LAMBDA_MAX_CONCURRENCY"] = str(concurrency)
        result["AWS_LAMBDA_INITIALIZATION_TYPE"] = "lambda-managed-instances"
    return result
