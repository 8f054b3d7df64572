"""Processes under test: started in a group of their own, weighed, ended.

Figures are of the whole group, because an adapter and its server are two processes. They come
from Linux's /proc and are 0 where there is none.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.servers import free_port
from services.settings import ROOT

_PROC = Path("/proc")


def spawn(command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start `command` as the leader of its own group, with `{port}` filled in everywhere."""
    port = str(free_port())
    return subprocess.Popen(
        [part.replace("{port}", port) for part in command],
        cwd=ROOT,
        env={name: value.replace("{port}", port) for name, value in environ.items()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def end(group: int) -> None:
    """Kill a whole group: nothing under test has anything to lose."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def cpu_seconds(group: int) -> float:
    """Processor time the group has used, in seconds, to the nanosecond."""
    total = 0
    for process in _members(group):
        for thread in (process / "task").glob("*/schedstat"):
            with suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total / 1e9


def memory(group: int) -> int:
    """Resident bytes of the group now."""
    return _status(group, "VmRSS:")


def peak(group: int) -> int:
    """The most resident bytes since `forget_peak`."""
    return _status(group, "VmHWM:")


def forget_peak(group: int) -> None:
    """Begin `peak` again from what is resident now."""
    for process in _members(group):
        with suppress(OSError):
            (process / "clear_refs").write_text("5")


def _members(group: int) -> Iterator[Path]:
    for stat in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            # pid (name) state ppid pgrp ...; a name may hold spaces and brackets.
            if int(stat.read_text().rpartition(")")[2].split()[2]) == group:
                yield stat.parent


def _status(group: int, name: str) -> int:
    total = 0
    for process in _members(group):
        with suppress(OSError):
            for line in (process / "status").read_text().splitlines():
                if line.startswith(name):
                    total += int(line.split()[1]) * 1024
    return total
