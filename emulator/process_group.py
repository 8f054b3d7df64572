"""A program in a process group of its own: its lines, its signals, its end.

What an environment of a function and one of a Web Function have in common. Knows nothing of what
the program speaks.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class ProcessGroup:
    """The program, and what was done to it.

    `say` takes each of its lines. `exited` resolves to its exit status, negative for a signal.
    `frozen` is what was asked for last.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.frozen = False
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._say_line = say
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def alive(self) -> bool:
        """Whether the program runs, frozen or not."""
        return self._process is not None and not self.exited.done()

    @property
    def pid(self) -> int:
        """The process id, which is its process group's too; 0 before the start."""
        return self._process.pid if self._process else 0

    def freeze(self) -> None:
        """Stop the processor, as between two invocations."""
        self.frozen = True
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        if self.frozen:
            self.frozen = False
            self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        self._signal(signal.SIGKILL)

    async def _launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path | None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Start the program; it is ended with this process. Raises `OSError`."""
        process = self._process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=descriptors,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
        )
        self._tasks = [
            asyncio.create_task(self._pump(stream))
            for stream in (process.stdout, process.stderr)
            if stream
        ]
        self._tasks.append(asyncio.create_task(self._wait(process)))

    async def _end(self, *, grace: float) -> None:
        """SIGTERM and `grace` seconds, where there are any, then SIGKILL."""
        if self.alive and grace:
            self.thaw()
            self._signal(signal.SIGTERM)
            await asyncio.wait((self.exited,), timeout=grace)
        self.kill()
        if self._process:
            await asyncio.wait((self.exited,), timeout=5)
        if self._tasks:  # the last words are still in the pipes
            await asyncio.wait(self._tasks, timeout=1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _over(self, status: int) -> None:
        """Take the end of the program."""
        self.exited.set_result(status)

    def _signal(self, number: signal.Signals) -> None:
        if self.alive and self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _pump(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while data := await stream.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._say_line(line.decode("utf-8", "replace"))
        if rest:
            self._say_line(rest.decode("utf-8", "replace"))

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # children it left hold its sockets open
        await self._over(status)


def _die_with_parent() -> Callable[[], None]:
    """Ask Linux to kill the child when the emulator dies, even by SIGKILL."""
    libc = ctypes.CDLL(None)  # loaded before the fork, where loading is not safe

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask
