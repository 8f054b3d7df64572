"""Our runtime under AWS's own emulator binary.

It accepts the streaming mode, checks the framing, and shows prelude, delimiter and body as one
blob once the body has ended. It drops content types and trailers.
"""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.oracles.programs import (
    FUNCTIONS,
    ROOT,
    AwsEmulator,
    aws_emulator,
    needs_aws_emulator,
    url_payload,
)

pytestmark = [pytest.mark.anyio, needs_aws_emulator]
FRAMES = b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


@asynccontextmanager
async def run_bootstrap(
    folder: Path, handler: str = "ours.app", **environ: str
) -> AsyncGenerator[AwsEmulator]:
    """Our runtime, started by the bootstrap that ships."""
    more = {"PYTHONPATH": str(ROOT), "LAMBDA_TASK_ROOT": str(FUNCTIONS), "_HANDLER": handler}
    command = [str(ROOT / "bootstrap"), sys.executable]
    async with aws_emulator(command, folder, **more, **environ) as emulator:
        yield emulator
    assert "[PANIC]" not in emulator.log, "AWS's emulator refused what the runtime sent"


def parts(blob: bytes) -> tuple[Any, bytes]:
    """The prelude, and the body behind the delimiter."""
    head, delimiter, body = blob.partition(bytes(8))
    assert delimiter
    return json.loads(head), body


async def test_a_stream_is_prelude_delimiter_and_body(tmp_path: Path) -> None:
    """The very bytes that a function URL would split."""
    async with run_bootstrap(tmp_path) as emulator:
        heard = await emulator.invoke(url_payload())
    headers = {"content-type": "text/event-stream", "x-method": "GET"}
    prelude = {"statusCode": 201, "headers": headers, "cookies": ["a=1; Path=/", "b=2"]}
    assert (heard.status, *parts(heard.body)) == (200, prelude, FRAMES)


async def test_buffered_mode_is_a_proxy_object(tmp_path: Path) -> None:
    """The same application, for fronts that do not stream."""
    async with run_bootstrap(tmp_path, RIVERRUN_INVOKE_MODE="buffered") as emulator:
        answer = json.loads((await emulator.invoke(url_payload())).body)
    assert (answer["statusCode"], answer["body"]) == (201, FRAMES.decode())
    assert answer["cookies"] == ["a=1; Path=/", "b=2"]


async def test_functions_and_generators_are_answered(tmp_path: Path) -> None:
    """A result as JSON; what a generator yields, as it is."""
    async with run_bootstrap(tmp_path, "ours.function") as emulator:
        heard = await emulator.invoke({"é": [1, None]})
        assert json.loads(heard.body)["said"] == {"é": [1, None]}
    async with run_bootstrap(tmp_path, "ours.generator") as emulator:
        assert (await emulator.invoke({})).body == FRAMES


async def test_errors_belong_to_their_phase_and_the_process_lives_on(tmp_path: Path) -> None:
    """Before the first byte a real status, after it a last event; then the next invocation."""
    async with run_bootstrap(tmp_path) as emulator:
        prelude, body = parts((await emulator.invoke(url_payload("/early"))).body)
        assert (prelude["statusCode"], body) == (500, b"Internal Server Error")
        prelude, body = parts((await emulator.invoke(url_payload("/late"))).body)
        first, event, _ = body.split(b"\n\n")
        assert (prelude["statusCode"], first) == (201, b"data: 0")
        assert json.loads(event.removeprefix(b"data: "))["type"] == "error"
        assert parts((await emulator.invoke(url_payload())).body)[1] == FRAMES
        assert emulator.log.count("INIT START") == 1


async def test_an_invocation_error_is_the_stock_runtimes_document(tmp_path: Path) -> None:
    """What was raised, for who invoked; and the same process for the next."""
    async with run_bootstrap(tmp_path, "ours.function") as emulator:
        before = json.loads((await emulator.invoke({})).body)
        heard = await emulator.invoke({"raise": 1})
        after = json.loads((await emulator.invoke({})).body)
    document = json.loads(heard.body)
    assert (document["errorType"], document["errorMessage"]) == ("LookupError", "no such thing")
    assert before["pid"] == after["pid"]


async def test_two_hundred_in_a_row_are_each_answered_as_themselves(tmp_path: Path) -> None:
    """Streams: one process, one init, no answer crossed with another."""
    async with run_bootstrap(tmp_path) as emulator:
        for number in range(200):
            sent = b"%d %s" % (number, b"x" * (number * 37))
            heard = await emulator.invoke(url_payload("/echo", body=sent.decode(), method="POST"))
            prelude, body = parts(heard.body)
            assert (prelude["headers"]["x-method"], body) == ("POST", FRAMES + sent)
        assert emulator.log.count("INIT START") == 1


async def test_a_refused_stream_does_not_cost_the_process(tmp_path: Path) -> None:
    """AWS's emulator caps streams at 6 MB and answers 413; the next invocation is served."""
    async with run_bootstrap(tmp_path) as emulator:
        heard = await emulator.invoke(url_payload("/huge"))
        assert heard.error == "Function.ResponseSizeTooLarge"
        assert parts((await emulator.invoke(url_payload())).body)[1] == FRAMES
        assert emulator.log.count("INIT START") == 1


async def test_the_deadline_is_ours_and_not_the_platforms(tmp_path: Path) -> None:
    """An application that never answers is ended before its timeout: 504, no reset."""
    async with run_bootstrap(tmp_path, AWS_LAMBDA_FUNCTION_TIMEOUT="2") as emulator:
        prelude, _ = parts((await emulator.invoke(url_payload("/never"))).body)
        assert prelude["statusCode"] == 504
        assert parts((await emulator.invoke(url_payload())).body)[1] == FRAMES
        assert emulator.log.count("INIT START") == 1


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("missing.app", "Runtime.ImportModuleError"),
        ("ours.missing", "Runtime.HandlerNotFound"),
        ("ours", "Runtime.MalformedHandlerName"),
    ],
)
async def test_a_start_that_fails_says_why(tmp_path: Path, handler: str, kind: str) -> None:
    """The caller reads the type of the init error."""
    async with run_bootstrap(tmp_path, handler) as emulator:
        heard = await emulator.invoke(url_payload())
    assert heard.error == kind
