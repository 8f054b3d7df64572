"""`python -m functions`, with a provider that does not end: in a thread, by its own will, or in the
event loop.

    python -m tests.functions.stuck

The question says which: `thread`, `task`, or `loop` and a file to make when it is blocked.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

from functions import __main__ as command
from services.chat import Piece, Prompt, Text
from services.progress import Report, no_report
from services.settings import read_settings
from services.streaming import App, set_default_app
from tests.functions.deployed import Nothing

FOR_EVER = 1000.0


class Stuck:
    """Says a word, and does not return."""

    model = "stuck"

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - a provider takes it
    ) -> AsyncGenerator[Piece, None]:
        """Wait in a thread, in the loop, or swallow each cancellation."""
        yield Text("word ")
        if prompt.question == "thread":
            await asyncio.to_thread(time.sleep, FOR_EVER)
        if prompt.question.startswith("loop "):
            Path(prompt.question.removeprefix("loop ")).touch()  # noqa: ASYNC240 - it blocks anyway
            time.sleep(FOR_EVER)  # noqa: ASYNC251 - what is tried
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(FOR_EVER)


if __name__ == "__main__":
    set_default_app(App(read_settings(os.environ), chat=Stuck(), context=Nothing()))
    sys.exit(command.main())
