"""The functions in one process, with a provider that keeps a list of its calls.

    python -m tests.functions.deployed

prints its port. It is the product from the socket to the store; only who answers, what is found
and how patient everybody is are of the tests.
`DEPLOYED` is a JSON object: `calls` (a file), `lease`, `line` (the share of DynamoDB's calls that
go wrong, and a seed), `port`.
"""

import asyncio
import json
import os
import random
import re
import socket
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from functions import chat, runs
from services.chat import Piece, Prompt, Stop, Text
from services.passages import Passage
from services.progress import Report, unheard
from services.runs import RunLog
from services.runs.dynamodb import DynamoLog
from services.streaming import installed, production, reading, recording

_ASKED = re.compile(r"(?P<name>\S+) says (?P<words>\d+) words, (?P<pause>\d+) ms apart")


@dataclass
class Counted:
    """Says `w0 w1 …` of the question's name, as many words as it asks for."""

    calls: Path

    @property
    def model(self) -> str:
        """The name of nobody."""
        return "counted"

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = unheard,  # noqa: ARG002 - a provider takes it
    ) -> AsyncGenerator[Piece, None]:
        """Note the call, then go on from what was said."""
        asked = _ASKED.fullmatch(prompt.question)
        assert asked is not None, prompt.question
        with self.calls.open("ab", buffering=0) as file:
            file.write(f"{asked['name']} {os.getpid()} {len(prompt.so_far)}\n".encode())
        said = ""
        for number in range(int(asked["words"])):
            # As wide as a token that is joined to no other, so that a word is an event.
            said += (word := word_of(asked["name"], number))
            if len(said) <= len(prompt.so_far):
                continue
            if asked["pause"] != "0":
                await asyncio.sleep(int(asked["pause"]) / 1000)
            yield Text(word)
        yield Stop("stop")


def word_of(name: str, number: int) -> str:
    """The word of that number in the answer to `name`."""
    return f"{name}.{number} ".ljust(60, "·")


class Nothing:
    """A context in which one thing is found, at once."""

    async def prepare(self) -> None:
        """Nothing to do."""

    async def retrieve(self, question: str, *_any: object, **_more: object) -> tuple[Passage, ...]:
        """The one thing."""
        return (
            Passage(
                id="a#1",
                title="A",
                uri="a.md",
                text=question,
                score=0.5,
                coverage=1.0,
                sentences=(),
            ),
        )


def impatient(log: RunLog, lease: float) -> None:
    """Let leases be short, and those who wait for their end look often."""
    for method in (type(log).start, type(log).claim, type(log).renew):
        method.__kwdefaults__["lease"] = lease
    for module in (recording, reading, production):
        for name, value in (("LEASE_SECONDS", lease), ("LOOK", 0.2), ("GRACE", 0.3)):
            if hasattr(module, name):
                setattr(module, name, value)


def main() -> None:
    """Serve until killed."""
    options: dict[str, Any] = json.loads(os.environ["DEPLOYED"])
    here = installed()
    here.__dict__["chat"] = Counted(Path(options["calls"]))
    here.__dict__["context"] = Nothing()
    impatient(here.log, options.get("lease", 1.0))
    if "line" in options and isinstance(here.log, DynamoLog):
        from tests.services.runs.faults import FaultyClient

        share, seed = options["line"]
        table = here.log._table
        table._client = FaultyClient(table._connected(), random.Random(seed), share)
    listener = socket.create_server(("127.0.0.1", options.get("port", 0)), backlog=2048)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - a command prints
    config = uvicorn.Config(served, log_level="critical", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    """Both functions by path."""
    app = runs.app if "/chat/runs/" in scope["path"] else chat.app
    await app(scope, receive, send)


if __name__ == "__main__":
    sys.exit(main())
