"""What Node's HTTP parser sees of the bytes our runtime sends.

A server of `node:http` plays the Runtime API, strict as Node's parser is by default, and says
piece by piece what it read.
"""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.emulator.support import Gate
from tests.oracles.programs import FUNCTIONS, NODE, ROOT, needs_node, url_payload

pytestmark = [pytest.mark.anyio, pytest.mark.node, needs_node]
PRELUDE = {
    "statusCode": 201,
    "headers": {"content-type": "text/event-stream", "x-method": "GET"},
    "cookies": ["a=1; Path=/", "b=2"],
}
NAMES = "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"


class NodeServer:
    """The server, and the runtime that was pointed at it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def expect(self, kind: str) -> Any:
        """The next thing that the server read, which must be of this kind."""
        assert self._process.stdout
        async with asyncio.timeout(60):
            said = json.loads(await self._process.stdout.readline())
        assert list(said) == [kind], said
        return said[kind]

    async def body(self) -> tuple[bytes, Any]:
        """The rest of the body, and how it ended."""
        pieces = b""
        assert self._process.stdout
        async with asyncio.timeout(60):
            while "data" in (said := json.loads(await self._process.stdout.readline())):
                pieces += said["data"].encode("latin-1")
        return pieces, said["end"]

    def deliver(self, payload: Any) -> None:
        """Hand out one invocation."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(payload).encode() + b"\n")


@asynccontextmanager
async def serve_handler(handler: str, **environ: str) -> AsyncGenerator[NodeServer]:
    """Our runtime with `handler`, started by its bootstrap, living off the Node server."""
    node = await asyncio.create_subprocess_exec(
        "node",
        str(NODE / "server.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    server = NodeServer(node)
    runtime = None
    try:
        port = await server.expect("port")
        runtime = await asyncio.create_subprocess_exec(
            str(ROOT / "bootstrap"),
            sys.executable,
            cwd=FUNCTIONS,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "LAMBDA_TASK_ROOT": str(FUNCTIONS),
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
                "_HANDLER": handler,
                **environ,
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        yield server
    finally:
        for process in (runtime, node):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        node._transport.close()  # type: ignore[attr-defined]  # its pipes, before the loop ends


def error(document: str) -> Any:
    return json.loads(base64.b64decode(document, validate=True))


async def test_a_stream_is_chunked_with_declared_trailers(gate: Gate) -> None:
    """Head, prelude and each frame are parsed before the next frame exists; nothing trails."""
    async with serve_handler("ours.app") as server:
        server.deliver(url_payload(query=f"gate={gate.port}"))
        head = await server.expect("head")
        assert (head["method"], head["httpVersion"]) == ("POST", "1.1")
        assert head["url"] == "/2018-06-01/runtime/invocation/request-1/response"
        headers = dict(zip(head["rawHeaders"][::2], head["rawHeaders"][1::2], strict=True))
        assert headers.pop("Host").startswith("127.0.0.1:")
        assert headers.pop("User-Agent").startswith("riverrun/")
        assert headers == {
            "Content-Type": "application/vnd.awslambda.http-integration-response",
            "Lambda-Runtime-Function-Response-Mode": "streaming",
            "Transfer-Encoding": "chunked",
            "Trailer": NAMES,
            "Lambda-Runtime-Invocation-Id": "attempt-1",
        }
        prelude = await server.expect("data")
        assert (json.loads(prelude[:-8]), prelude[-8:]) == (PRELUDE, "\0" * 8)
        assert await server.expect("data") == "data: 0\n\n"
        await asyncio.to_thread(gate.open)
        assert await server.expect("data") == "data: 1\n\n"
        await asyncio.to_thread(gate.open)
        assert await server.expect("data") == "data: 2\n\n"
        assert await server.expect("end") == {"trailers": {}, "complete": True}


async def test_an_error_in_mid_stream_is_two_trailers() -> None:
    """A type that Lambda keeps, and in base64 what the stock runtime would tell who invoked."""
    async with serve_handler("ours.generator") as server:
        server.deliver({"late": True})
        assert (await server.expect("head"))["headers"]["trailer"] == NAMES
        body, end = await server.body()
        assert (body, end["complete"]) == (b"data: 0\n\n", True)
        trailers = end["trailers"]
        assert set(trailers) == {name.lower() for name in NAMES.split(", ")}
        assert trailers["lambda-runtime-function-error-type"] == "Function.ValueError"
        document = error(trailers["lambda-runtime-function-error-body"])
        assert (document["errorType"], document["errorMessage"]) == ("ValueError", "no more")


async def test_a_failing_application_ends_with_an_event_and_trailers() -> None:
    """The browser's share of the error is in the body; Lambda's is behind it."""
    async with serve_handler("ours.app") as server:
        server.deliver(url_payload("/late"))
        await server.expect("head")
        body, end = await server.body()
        _, _, content = body.partition(bytes(8))
        first, event, rest = content.split(b"\n\n")
        assert (first, rest) == (b"data: 0", b"")
        assert json.loads(event.removeprefix(b"data: "))["type"] == "error"
        kind = end["trailers"]["lambda-runtime-function-error-type"]
        assert kind == "Runtime.StreamError"


async def test_what_is_not_streamed_has_a_length() -> None:
    """A result and an error: JSON with Content-Length, one after the other, each attempt echoed."""
    async with serve_handler("ours.function") as server:
        server.deliver({"a": "é"})
        head = await server.expect("head")
        body, _ = await server.body()
        assert json.loads(body)["said"] == {"a": "é"}
        assert head["headers"]["content-length"] == str(len(body))
        assert head["headers"]["content-type"] == "application/json"
        assert "transfer-encoding" not in head["headers"]
        server.deliver({"raise": 1})
        head = await server.expect("head")
        body, _ = await server.body()
        assert head["url"].endswith("/invocation/request-2/error")
        assert head["headers"]["lambda-runtime-invocation-id"] == "attempt-2"
        assert head["headers"]["lambda-runtime-function-error-type"] == "Function.LookupError"
        document = json.loads(body)
        assert (document["errorType"], document["requestId"]) == ("LookupError", "request-2")


async def test_a_failed_start_is_one_post() -> None:
    """To init/error, with its type in the header and in the document."""
    async with serve_handler("missing.app") as server:
        head = await server.expect("head")
        body, _ = await server.body()
        assert head["url"] == "/2018-06-01/runtime/init/error"
        kind = "Runtime.ImportModuleError"
        assert head["headers"]["lambda-runtime-function-error-type"] == kind
        assert json.loads(body)["errorType"] == kind
        assert "lambda-runtime-invocation-id" not in head["headers"]


async def test_a_stream_larger_than_any_buffer_arrives_whole() -> None:
    """Seven megabytes of NULs: nothing in a body is taken for framing."""
    async with serve_handler("ours.app") as server:
        server.deliver(url_payload("/huge"))
        await server.expect("head")
        body, end = await server.body()
        assert end == {"trailers": {}, "complete": True}
        assert body.endswith(b"data: 2\n\n" + bytes(110 * 65536))
