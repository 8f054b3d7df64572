"""AWS's Runtime API and ours, asked the same questions in the same order (EM01).

AWS's is the one inside its emulator binary, with a bootstrap that only sleeps: the test itself
is the runtime. What the two answer must be the same to the byte, and so must what the
caller is told; where they differ, `DIFFERENT` says how and why.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.invocation import Invocation
from emulator.runtime_api import RuntimeApi
from tests.oracles.programs import AnswerView, aws_emulator, needs_aws_emulator, say

pytestmark = [pytest.mark.anyio, needs_aws_emulator]

RUNTIME = "/2018-06-01/runtime"
MODE = "Lambda-Runtime-Function-Response-Mode"
TYPE = "Lambda-Runtime-Function-Error-Type"
CHUNKED = (("Transfer-Encoding", "chunked"),)
STREAMED = ((MODE, "streaming"), *CHUNKED)
LIMIT = 6 * 1024 * 1024 + 100


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. In `path`, {first} and {last} are request ids that /next has given."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    hang_up: bool = False


INVOKE = Ask("", "an invocation comes; the one before this one is over by then")
NEXT = Ask("GET", f"{RUNTIME}/invocation/next")


def post(
    verb: str, body: bytes = b"1", *headers: tuple[str, str], to: str = "{last}", cut: bool = False
) -> Ask:
    return Ask("POST", f"{RUNTIME}/invocation/{to}/{verb}", body, headers, hang_up=cut)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


ERROR = b'{"errorMessage":"m","errorType":"E"}'
INIT_ERROR = Ask("POST", f"{RUNTIME}/init/error", ERROR, ((TYPE, "Runtime.Broken"),))
RESPONSE = post("response")
BEGUN = (INVOKE, NEXT)
TRAILER = f"0\r\n{TYPE}: Runtime.Late\r\n\r\n".encode()

ALIKE: dict[str, Sequence[Ask]] = {
    "a response before any invocation": [INVOKE, post("response", to="no"), NEXT, RESPONSE],
    "an error before any invocation": [INVOKE, post("error", to="no"), NEXT, RESPONSE],
    "an init error after next": [*BEGUN, INIT_ERROR, RESPONSE],
    "an init error after a response": [*BEGUN, RESPONSE, INIT_ERROR],
    "next twice": [*BEGUN, NEXT, RESPONSE],
    "a response twice": [*BEGUN, RESPONSE, RESPONSE],
    "an error after a response": [*BEGUN, RESPONSE, post("error", ERROR)],
    "an error twice": [*BEGUN, post("error", ERROR), post("error", ERROR)],
    "a response after an error": [*BEGUN, post("error", ERROR), RESPONSE],
    "a wrong id": [*BEGUN, post("response", to="no"), post("error", to="no"), RESPONSE],
    "a wrong id and a wrong mode": [*BEGUN, post("response", b"", (MODE, "x"), to="no"), RESPONSE],
    "the id of the invocation before": [
        *(*BEGUN, RESPONSE, *BEGUN, post("response", b"late", to="{first}")),
        *(post("error", ERROR, to="{first}"), RESPONSE),
    ],
    "three in a row": [*BEGUN, RESPONSE, *BEGUN, post("error", ERROR), *BEGUN, RESPONSE],
    "no mode": [*BEGUN, post("response", b"x", (MODE, ""))],
    "a mode with spaces": [*BEGUN, post("response", chunk(b"a") + b"0\r\n\r\n", *STREAMED)],
    "a stream of chunks": [*BEGUN, post("response", chunk(b"a") * 3 + b"0\r\n\r\n", *STREAMED)],
    "a stream with a length": [*BEGUN, post("response", b"abc", (MODE, "streaming"))],
    "an empty stream": [*BEGUN, post("response", b"0\r\n\r\n", *STREAMED)],
    "an extension of a chunk": [*BEGUN, post("response", b"1;a=b\r\na\r\n0\r\n\r\n", *STREAMED)],
    "declared trailers": [
        *(*BEGUN, post("response", chunk(b"a") + TRAILER, *STREAMED, ("Trailer", TYPE))),
        *(*BEGUN, RESPONSE),
    ],
    "undeclared trailers": [*BEGUN, post("response", chunk(b"a") + TRAILER, *STREAMED)],
    "chunks without a mode": [*BEGUN, post("response", chunk(b"a") + b"0\r\n\r\n", *CHUNKED)],
    "an empty response": [*BEGUN, post("response", b"")],
    "a response of the largest size": [*BEGUN, post("response", b"x" * LIMIT)],
    "a response over it": [
        *BEGUN,
        post("response", b"x" * (LIMIT + 1)),
        RESPONSE,
        *BEGUN,
        RESPONSE,
    ],
    "a response over it in chunks": [
        *(*BEGUN, post("response", chunk(b"x" * (LIMIT + 1)) + b"0\r\n\r\n", *CHUNKED)),
        *(*BEGUN, RESPONSE),
    ],
    "an error without a type": [*BEGUN, post("error", ERROR)],
    "an error with a type of its own": [*BEGUN, post("error", ERROR, (TYPE, "ValueError"))],
    "an error that is not JSON": [*BEGUN, post("error", b"boom", (TYPE, "Function.Boom"))],
    "an error without a body": [*BEGUN, post("error", b"", (TYPE, "Function.Boom"))],
    "an error that breaks off": [
        *(*BEGUN, post("error", b"5\r\nx", *CHUNKED, cut=True), *BEGUN, RESPONSE)
    ],
    "an error with a cause": [
        *BEGUN,
        post(
            "error",
            b'{"errorMessage":"m","errorType":"E","causes":1}',
            ("Content-Type", "application/vnd.aws.lambda.error.cause+json"),
        ),
    ],
    "an expectation": [*BEGUN, post("response", b"abc", ("Expect", "100-continue"))],
    "paths and methods": [
        INVOKE,
        *(Ask("GET", path) for path in ("/", "/ping", "/2018-06-01/ping", "/2018-06-01/runtime")),
        *(Ask("GET", f"{RUNTIME}/{path}") for path in ("restore/next", "init/error", "nothing")),
        *(Ask("GET", f"{RUNTIME}/invocation/{path}") for path in ("next/", "a/response", "/next")),
        *(Ask("POST", f"{RUNTIME}/{path}") for path in ("invocation/next", "restore/error")),
        *(Ask("PUT", f"{RUNTIME}/invocation/{path}") for path in ("a/response", "a/error")),
        Ask("POST", f"{RUNTIME}/invocation/a/b/response"),
        Ask("GET", "/runtime/invocation/next"),
        Ask("POST", "/2018-06-01/ping"),
        *(NEXT, RESPONSE),
    ],
}

# AWS's emulator never tells the caller how these end; ours does.
STUCK: dict[str, Sequence[Ask]] = {
    "an init error, and what is refused after it": [INVOKE, INIT_ERROR, INIT_ERROR, NEXT],
    "an unknown mode": [
        *(*BEGUN, post("response", b"x", (MODE, "Streaming"))),
        *(RESPONSE, post("error", ERROR), NEXT),
    ],
    "a mode that says buffered": [*BEGUN, post("response", b"x", (MODE, "buffered")), NEXT],
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Steps of which the last one is answered differently, with status and error type."""

    why: str
    steps: Sequence[Ask]
    aws: tuple[int, str]
    ours: tuple[int, str]


NONE = (0, "")  # the connection ends without an answer
PANIC = (
    "the emulator's server panics, and is broken for good; the documentation and the source of "
    "Lambda's own server say 400 TruncatedHTTPRequest"
)
TRUNCATED = (400, "TruncatedHTTPRequest")
TAKEN = (202, "")
DIFFERENT: dict[str, Difference] = {
    "a stream that breaks off": Difference(
        PANIC, [*BEGUN, post("response", chunk(b"a"), *STREAMED, cut=True)], NONE, TRUNCATED
    ),
    "a response that breaks off": Difference(
        PANIC,
        [*BEGUN, post("response", b"ab", ("Content-Length", "5"), cut=True)],
        NONE,
        TRUNCATED,
    ),
    "a chunk without a size": Difference(
        PANIC, [*BEGUN, post("response", b"zz\r\na\r\n0\r\n\r\n", *STREAMED)], NONE, TRUNCATED
    ),
    "an error over the limit": Difference(
        "the emulator's server panics; ours takes it and tells who invoked that it was too large",
        [*BEGUN, post("error", b"x" * (LIMIT + 1))],
        NONE,
        TAKEN,
    ),
    "a stream over the limit of responses": Difference(
        "the emulator reads a stream whole; Lambda's limit for streams is 200 MB",
        [*BEGUN, post("response", chunk(b"x" * (LIMIT + 1)) + b"0\r\n\r\n", *STREAMED)],
        (413, "RequestEntityTooLarge"),
        TAKEN,
    ),
    "a foreign attempt": Difference(
        "the binary is older than Lambda-Runtime-Invocation-Id",
        [*BEGUN, post("response", b"1", ("Lambda-Runtime-Invocation-Id", "another"))],
        TAKEN,
        (410, "InvokeTimeout"),
    ),
}

Caller = asyncio.Task[AnswerView]  # gives what the caller is told
Begin = Callable[[], Awaitable[Caller]]


@asynccontextmanager
async def aws(folder: Path) -> AsyncGenerator[tuple[str, Begin]]:
    """Where AWS's Runtime API is, and how to invoke."""
    started = folder / "started"
    script = 'echo $$ >"$0.new"; mv "$0.new" "$0"; exec sleep 60'
    async with aws_emulator(["/bin/sh", "-c", script, str(started)], folder) as emulator:

        async def begin() -> Caller:
            caller = asyncio.create_task(emulator.invoke({}))
            while not started.exists():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.002)
            return caller

        try:
            yield emulator.api, begin
        finally:  # a group of its own, which outlives the emulator
            os.kill(int(started.read_text()), signal.SIGKILL)


@asynccontextmanager
async def ours(_: Path) -> AsyncGenerator[tuple[str, Begin]]:
    """The same of ours."""
    api = RuntimeApi()
    await api.start()

    async def response_of(one: Invocation) -> AnswerView:
        response = await one.response
        content = await response.read_all(2 * LIMIT)
        return AnswerView(
            200, {}, response.error.body if response.error and not content else content
        )

    async def begin() -> Caller:
        one = Invocation(payload=b"{}", deadline=time.time() + 20, arn="arn")
        api.submit(one)
        return asyncio.create_task(response_of(one))

    try:
        yield api.address, begin
    finally:
        await api.close()


class Conversation:
    """The runtime's side: what it asks, and everything it hears."""

    def __init__(self, address: str, begin: Begin) -> None:
        self.heard: list[AnswerView] = []
        self.told: list[bytes] = []
        self._address = address
        self._begin = begin
        self._ids: list[str] = []
        self._caller: Caller | None = None
        self._poll: asyncio.Task[AnswerView] | None = None

    async def hold(self, steps: Sequence[Ask], *, ends: bool) -> None:
        """Ask everything. With `ends`, wait for the caller's answer."""
        try:
            for step in steps:
                if step is INVOKE:
                    await self._finish()
                    self._caller = await self._begin()
                elif step is NEXT and self._poll is not None:
                    poll, self._poll = self._poll, None
                    self._listen(await poll)
                else:
                    self._listen(await self._ask(step))
            if ends:
                await self._finish()
        finally:
            tasks = [task for task in (self._caller, self._poll) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, step: Ask) -> AnswerView:
        first, last = (self._ids[0], self._ids[-1]) if self._ids else ("", "")
        path = step.path.replace("{first}", first).replace("{last}", last)
        headers = step.headers
        return await say(self._address, step.method, path, step.body, headers, hang_up=step.hang_up)

    async def _finish(self) -> None:
        """An invocation is over at the next /next."""
        if self._caller is not None:
            self._poll = asyncio.create_task(self._ask(NEXT))
            self.told.append(_by_type((await self._caller).body))
            self._caller = None

    def _listen(self, heard: AnswerView) -> None:
        if request_id := heard.headers.get("lambda-runtime-aws-request-id"):
            self._ids.append(request_id)
        self.heard.append(heard)

    @property
    def record(self) -> list[Any]:
        """What must be the same on both sides: no ids, no times."""
        ids = [self._ids.index(one) for one in self._ids]
        return [ids, *((h.status, h.headers.get("content-type"), h.body) for h in self.heard)]


def _by_type(told: bytes) -> bytes:
    """An error document by its type alone: its wording is the platform's."""
    try:
        return str(json.loads(told)["errorType"]).encode()
    except (ValueError, TypeError, KeyError):
        return told


Side = Callable[[Path], Any]


async def talk(side: Side, folder: Path, steps: Sequence[Ask], *, ends: bool) -> Conversation:
    """Hold a conversation with a fresh Runtime API."""
    async with asyncio.timeout(60), side(folder) as (address, begin):
        conversation = Conversation(address, begin)
        await conversation.hold(steps, ends=ends)
        return conversation


@pytest.mark.parametrize("name", ALIKE)
async def test_both_answer_alike(name: str, tmp_path: Path) -> None:
    """Status, type and body of every answer; and what the caller is told."""
    theirs = await talk(aws, tmp_path, ALIKE[name], ends=True)
    mine = await talk(ours, tmp_path, ALIKE[name], ends=True)
    assert mine.record == theirs.record
    assert mine.told == theirs.told


@pytest.mark.parametrize("name", STUCK)
async def test_both_refuse_alike_what_cannot_go_on(name: str, tmp_path: Path) -> None:
    """The same, where AWS's emulator leaves the caller waiting."""
    theirs = await talk(aws, tmp_path, STUCK[name], ends=False)
    mine = await talk(ours, tmp_path, STUCK[name], ends=False)
    assert mine.record == theirs.record


@pytest.mark.parametrize("name", DIFFERENT)
async def test_they_differ_where_it_is_known_and_nowhere_else(name: str, tmp_path: Path) -> None:
    """The reason stands in the table; a difference that is gone fails here."""
    case = DIFFERENT[name]
    theirs = await talk(aws, tmp_path, case.steps, ends=False)
    mine = await talk(ours, tmp_path, case.steps, ends=False)
    assert mine.record[:-1] == theirs.record[:-1]
    answers = [(side.heard[-1].status, side.heard[-1].error) for side in (theirs, mine)]
    assert answers == [case.aws, case.ours], case.why
