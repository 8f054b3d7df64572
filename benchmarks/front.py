"""The emulator's Runtime API, function URLs and Web Functions, without the freezing: one process.

``python -m benchmarks.front N NAME...`` starts these contenders, for N invocations at once in
one process (0: classic), prints their ports and process ids as one line of JSON, and ends with
its standard input. What is left out of the emulator is what would measure the emulator: cold
starts, SIGSTOP, log lines. A function has one process, and its invocations queue.
"""

import asyncio
import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.contenders import ALL, APPS, Contender
from benchmarks.servers import free_port
from emulator.faults import Faults
from emulator.fronts import FrontOptions
from emulator.function import Function, Options
from emulator.function_url import function_url
from emulator.http1 import Handler
from emulator.sandbox import Sandbox
from emulator.server import listen
from emulator.template import FunctionSpec, FunctionUrl
from emulator.web_front import Endpoint
from emulator.web_function import WebFunction
from emulator.web_template import WebFunctionSpec
from services.settings import ROOT

PATIENCE = 60.0  # seconds to the first `/next`


class Warm(Function):
    """A function whose process is always there; without `concurrency` it has one, never frozen."""

    async def open(self) -> int:
        """Start the process. Its id, once it has asked for an invocation."""
        return (await self._sandbox()).pid

    async def _sandbox(self) -> Sandbox:
        if self.concurrency is not None:
            return await super()._sandbox()
        if not self.sandboxes:
            sandbox = await self._launch()
            if not await sandbox.wait_initialised(PATIENCE):
                raise TimeoutError(f"{self.spec.name} did not start: {list(sandbox.tail)[-5:]}")
        return self.sandboxes[0]

    def _idle(self, sandbox: Sandbox) -> None:
        if timer := self._timers.pop(sandbox, None):
            timer.cancel()


async def open_web(contender: Contender, stack: AsyncExitStack) -> tuple[Handler, int]:
    """The endpoint of a Web Function, and the id of its one process: it takes every request."""
    spec = WebFunctionSpec(
        name=contender.name,
        logical_id="Bench",
        root=ROOT,
        timeout=600.0,
        concurrency=100_000,
        environment={
            **contender.environ,
            "AWS_LAMBDA_PYTHON_ENTRYPOINT": f"asgi:{contender.entry}",
        },
    )
    function = WebFunction(spec, Options(init_limit=PATIENCE), _quiet)
    stack.push_async_callback(function.close)
    await function.start()
    if not function.sandboxes[0].ready:
        raise TimeoutError(f"{contender.name} did not start")
    endpoint = Endpoint(
        function=function, front_options=FrontOptions(faults=Faults(()), log=_quiet)
    )
    return endpoint.handle, function.sandboxes[0].pid


def spec_of(contender: Contender) -> FunctionSpec:
    """How the emulator is told to start a contender."""
    port = str(free_port())
    environment = {
        **contender.environ,
        "AWS_LAMBDA_EXEC_WRAPPER": str(APPS / "run"),
        "AWS_LAMBDA_LOG_LEVEL": "FATAL",
        "BENCH_COMMAND": shlex.join(contender.command),
    }
    return FunctionSpec(
        name=contender.name,
        logical_id="Bench",
        handler=contender.environ.get("_HANDLER", "none"),
        root=Path(contender.environ.get("LAMBDA_TASK_ROOT", ROOT)),
        timeout=600.0,
        memory=1024,
        environment={name: value.replace("{port}", port) for name, value in environment.items()},
    )


async def serve(names: Sequence[str], concurrency: int | None) -> None:
    """Run the named contenders until standard input ends."""
    front_options = FrontOptions(faults=Faults(()), log=_quiet)
    url = FunctionUrl(invoke_mode="RESPONSE_STREAM")
    running: dict[str, tuple[int, int]] = {}
    async with AsyncExitStack() as stack:
        for contender in (one for one in ALL if one.name in names):
            if contender.entry:
                handler, process = await open_web(contender, stack)
            else:
                options = Options(concurrency=concurrency)
                function = Warm(spec_of(contender), options, Faults(()), _quiet)
                stack.push_async_callback(function.close)
                process = await function.open()
                handler = function_url(function, url, front_options)
            server = await listen(handler)
            stack.push_async_callback(server.close)
            running[contender.name] = (server.port, process)
        print(json.dumps(running), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _quiet(_name: str, _line: str) -> None:
    """The log of a cloud without watchers."""


if __name__ == "__main__":
    first, *rest = sys.argv[1:]
    asyncio.run(serve(rest, int(first) or None))
