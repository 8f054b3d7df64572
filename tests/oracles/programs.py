"""The oracles: programs we did not write, where `tests/oracles/install` put them.

`aws_emulator` runs a function under AWS's own runtime interface emulator. It proves the bytes
a runtime sends and the answers a Runtime API gives, and nothing about streaming: it reads a
response to its end before it shows any of it.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ORACLES = ROOT / ".oracles"
FUNCTIONS = Path(__file__).parent / "functions"
NODE = Path(__file__).parent / "node"

AWS_EMULATOR = ORACLES / "aws-lambda-rie"
STOCK_PYTHON = ORACLES / "python" / "bin" / "python"
NODE_CLIENT = ORACLES / "node" / "node_modules" / "aws-lambda-ric" / "index.mjs"
INVOKE = "/2015-03-31/functions/function/invocations"

_INSTALL = "tests/oracles/install puts it there"
needs_aws_emulator = pytest.mark.skipif(
    not AWS_EMULATOR.exists(), reason=f"AWS's own emulator is not in .oracles; {_INSTALL}"
)
needs_stock_python = pytest.mark.skipif(
    not (ORACLES / "python" / ".stamp").exists(),
    reason=f"AWS's Python runtime is not in .oracles; {_INSTALL}",
)
needs_node_client = pytest.mark.skipif(
    not (ORACLES / "node" / ".stamp").exists() or shutil.which("node") is None,
    reason=f"AWS's Node runtime is not in .oracles; {_INSTALL}",
)
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not on the PATH")

_hosts = itertools.count(1)


def lonely_host() -> str:
    """A loopback address that no other program on this machine uses.

    The emulator cannot be asked to find free ports itself. On an address of its own, no other
    test can take a port between our finding it free and its listening there.
    """
    pid, number = os.getpid(), next(_hosts)
    return f"127.{64 + (pid >> 12) % 128}.{(pid >> 4) % 256}.{(pid % 16) * 16 + number % 16}"


def free_ports(host: str, count: int) -> list[int]:
    """Ports that are free there."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((host, 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]


class AwsEmulator:
    """A running one: where it is invoked, and where its Runtime API is."""

    def __init__(self, address: str, api: str, log: Path) -> None:
        self.address = address
        self.api = api
        self._log = log

    @property
    def log(self) -> str:
        """What it and the runtime have said."""
        return self._log.read_text("utf-8", "replace")

    async def invoke(self, payload: Any) -> "AnswerView":
        """One invocation, and everything that came back."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return await say(self.address, "POST", INVOKE, body)


@asynccontextmanager
async def aws_emulator(
    command: Sequence[str], folder: Path, **environ: str
) -> AsyncGenerator[AwsEmulator]:
    """AWS's emulator with `command` as the runtime's bootstrap, until the block ends."""
    host = lonely_host()
    address, api = (f"{host}:{port}" for port in free_ports(host, 2))
    log = folder / f"{address.replace(':', '-')}.log"
    flags = ["--runtime-interface-emulator-address", address, "--runtime-api-address", api]
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *("timeout", "-s", "KILL", "120", str(AWS_EMULATOR)),  # if this process is killed
            *flags,
            *command,
            env={"PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_TIMEOUT": "20", **environ},
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await wait_for_listener(address)
        await wait_for_listener(api)
        yield AwsEmulator(address, api, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def wait_for_listener(address: str) -> None:
    """Wait until a connection is accepted there; a program that starts says nothing better."""
    host, port = address.split(":")
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return


class AnswerView:
    """An answer over HTTP/1.1. `status` is 0 when the connection ended without one."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def error(self) -> str:
        """The error type of the document, or ""."""
        with contextlib.suppress(ValueError, AttributeError):
            return str(json.loads(self.body).get("errorType", ""))
        return ""


NOTHING = AnswerView(0, {}, b"")


async def say(
    address: str,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
    *,
    hang_up: bool = False,
) -> AnswerView:
    """One request on a connection of its own; `body` is sent as it is.

    Content-Length is added unless the headers frame the body. `hang_up` ends our side of the
    connection after it.
    """
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if not {"content-length", "transfer-encoding"} & {name.lower() for name, _ in headers}:
        lines.append(f"Content-Length: {len(body)}")
    sending = asyncio.create_task(
        _send(writer, "\r\n".join([*lines, "", ""]).encode() + body, hang_up)
    )
    try:
        async with asyncio.timeout(30):
            return await _hear(reader)
    except (ConnectionError, asyncio.IncompleteReadError):
        return NOTHING
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def _send(writer: asyncio.StreamWriter, data: bytes, hang_up: bool) -> None:
    writer.write(data)
    await writer.drain()
    if hang_up:
        writer.write_eof()


async def _hear(reader: asyncio.StreamReader) -> AnswerView:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
    status = int(head[0].split()[1])
    if status == 100:
        return await _hear(reader)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        return AnswerView(status, headers, body)
    return AnswerView(
        status, headers, await reader.readexactly(int(headers.get("content-length", "0")))
    )


def url_payload(
    path: str = "/", *, query: str = "", method: str = "GET", body: str | None = None
) -> dict[str, Any]:
    """What a function URL hands a function."""
    request = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "x.lambda-url.eu-west-1.on.aws", "x-forwarded-proto": "https"},
        "requestContext": {"domainName": "x.lambda-url.eu-west-1.on.aws", "http": request},
        "body": body,
        "isBase64Encoded": False,
    }
