"""Run a fake from the command line until it is stopped."""

import argparse
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class RunningFake(Protocol):
    """A fake that runs."""

    @property
    def url(self) -> str:
        """Its address."""
        ...


def run(
    name: str, setting: str, fake: Callable[[int], AbstractContextManager[RunningFake]]
) -> None:
    """Serve on ``--port`` (0 takes a free one), say the setting, and stop at a signal."""
    parser = argparse.ArgumentParser(description=f"A fake {name}.")
    parser.add_argument("--port", type=int, default=0)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with fake(parser.parse_args().port) as running:
        print(setting.format(url=running.url), flush=True)  # noqa: T201 - a command prints
        over.wait()
