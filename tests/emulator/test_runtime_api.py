"""The Runtime API, line by line as AWS's own server answers (EM01)."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulator.invocation import BrokenResponseError, FunctionError, Invocation
from emulator.runtime_api import RuntimeApi

pytestmark = pytest.mark.anyio
BASE = "/2018-06-01/runtime"


class Runtime:
    """The runtime's side of one keep-alive connection, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if "Transfer_Encoding" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self.writer.drain()

    async def read(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body

    async def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        await self.send(method, path, body, **headers)
        return await self.read()

    async def hear(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, str]:
        """The status, and the error type of the document."""
        status, _, answer = await self.ask(method, path, body, **headers)
        return status, json.loads(answer).get("errorType", "") if answer else ""


class Bench:
    """A Runtime API alone, and connections to it."""

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Runtime:
        host, port = self.api.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self._writers.append(writer)
        return Runtime(reader, writer)

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        await self.api.close()


@asynccontextmanager
async def bench(concurrency: int | None = None, **more: bool) -> AsyncIterator[Bench]:
    one = Bench(RuntimeApi(concurrency, **more))  # type: ignore[arg-type]  # flags only
    await one.api.start()
    try:
        yield one
    finally:
        await one.close()


def invocation(payload: bytes = b'{"a":1}') -> Invocation:
    return Invocation(
        payload=payload, deadline=time.time() + 9, arn="arn:aws:lambda:x:1:function:f"
    )


async def give_invocation(runtime: Runtime, api: RuntimeApi) -> Invocation:
    """An invocation that the runtime has taken."""
    one = invocation()
    api.submit(one)
    status, _, _ = await runtime.ask("GET", f"{BASE}/invocation/next")
    assert status == 200
    return one


def path(one: Invocation, verb: str = "response") -> str:
    return f"{BASE}/invocation/{one.id}/{verb}"


async def test_next_carries_the_invocation() -> None:
    """The payload verbatim, and the documented headers."""
    async with bench() as here:
        runtime = await here.connect()
        one = invocation(b'{"b": [1,\n2]}')
        here.api.submit(one)
        status, headers, body = await runtime.ask("GET", f"{BASE}/invocation/next")
    assert (status, body) == (200, b'{"b": [1,\n2]}')
    assert headers["lambda-runtime-aws-request-id"] == one.id
    assert headers["lambda-runtime-invocation-id"] == one.nonce
    assert int(headers["lambda-runtime-deadline-ms"]) == int(one.deadline * 1000)
    assert headers["lambda-runtime-invoked-function-arn"] == one.arn
    assert headers["lambda-runtime-trace-id"].startswith("Root=1-")
    assert "lambda-runtime-client-context" not in headers


async def test_next_waits_for_an_invocation() -> None:
    """A long poll: nothing is answered until there is something to do."""
    async with bench() as here:
        runtime = await here.connect()
        await runtime.send("GET", f"{BASE}/invocation/next")
        await here.api.ready.wait()
        here.api.submit(invocation())
        assert (await runtime.read())[0] == 200


async def test_a_poll_that_hung_up_takes_no_invocation() -> None:
    """The invocation goes to the next connection that asks."""
    async with bench() as here:
        first = await here.connect()
        await first.send("GET", f"{BASE}/invocation/next")
        await here.api.ready.wait()
        first.writer.transport.abort()
        second = await here.connect()
        await second.send("GET", f"{BASE}/invocation/next")
        one = invocation()
        while here.api.polls != 1:  # noqa: ASYNC110 - the API has no event for a lost poll
            await asyncio.sleep(0)
        here.api.submit(one)
        assert (await second.read())[1]["lambda-runtime-aws-request-id"] == one.id


async def test_accepted_is_said_as_aws_says_it() -> None:
    """202, JSON, and Go's newline."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        status, headers, body = await runtime.ask("POST", path(one), b'"x"')
        response = await one.response
    assert (status, body) == (202, b'{"status":"OK"}\n')
    assert headers["content-type"] == "application/json"
    assert await response.read_all(100) == b'"x"'


async def test_wrong_orders_are_answered_as_the_state_machine_says() -> None:
    """One runtime walks through every refusal of the classic table."""
    async with bench() as here:
        runtime = await here.connect()
        next_ = f"{BASE}/invocation/next"
        assert await runtime.hear("POST", f"{BASE}/invocation/none/response") == (
            400,
            "InvalidRequestID",
        )
        one = await give_invocation(runtime, here.api)
        again = await runtime.ask("GET", next_)  # Running: the same event again
        assert again[1]["lambda-runtime-aws-request-id"] == one.id
        assert await runtime.hear("POST", f"{BASE}/init/error", b"{}") == (
            403,
            "InvalidStateTransition",
        )
        assert await runtime.hear("POST", f"{BASE}/invocation/other/error") == (
            400,
            "InvalidRequestID",
        )
        assert await runtime.hear("POST", path(one), b"1") == (202, "")
        assert await runtime.hear("POST", path(one), b"2") == (403, "InvalidStateTransition")
        assert await runtime.hear("POST", path(one, "error"), b"{}") == (
            403,
            "InvalidStateTransition",
        )
        _, _, body = await runtime.ask("POST", path(one), b"3")
        assert json.loads(body)["errorMessage"] == (
            "State transition from RuntimeResponseSentState to InvocationResponse failed "
            "for runtime. Error: State transition is not allowed"
        )
        two = await give_invocation(runtime, here.api)
        assert await runtime.hear("POST", path(one), b"4") == (400, "InvalidRequestID")
        assert await runtime.hear("POST", path(two), b"5") == (202, "")
        assert await (await one.response).read_all(9) == b"1"


async def test_an_unknown_response_mode_wedges_the_runtime() -> None:
    """400, the invocation fails, and the next `/next` is 403 until the sandbox is reset."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        mode = {"Lambda_Runtime_Function_Response_Mode": "Streaming"}
        said = await runtime.hear("POST", path(one), b"x", **mode)
        assert said == (400, "InvalidFunctionResponseMode")
        runtime = await here.connect()
        said = await runtime.hear("GET", f"{BASE}/invocation/next")
        assert said == (403, "InvalidStateTransition")
        assert here.api.posts.wedged
        error = (await one.response).error
        assert error is not None
        assert error.type == "Runtime.InvalidResponseModeHeader"


async def test_a_streamed_response_is_read_as_it_comes() -> None:
    """The caller reads the first chunk before the second is written."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        await runtime.send("POST", path(one), b"1\r\na\r\n", **STREAMING, Content_Type="text/plain")
        response = await one.response
        assert (response.streaming, response.content_type) == (True, "text/plain")
        assert await response.read() == b"a"
        runtime.writer.write(b"2\r\nbc\r\n0\r\n\r\n")
        assert await response.read() == b"bc"
        assert await response.read() == b""
        assert (await runtime.read())[0] == 202
        assert response.error is None


STREAMING = {
    "Lambda_Runtime_Function_Response_Mode": "streaming",
    "Transfer_Encoding": "chunked",
}
ERROR = base64.b64encode(b'{"errorMessage":"late"}').decode()
TRAILERS = (
    f"0\r\nLambda-Runtime-Function-Error-Type: Runtime.StreamError\r\n"
    f"Lambda-Runtime-Function-Error-Body: {ERROR}\r\n\r\n"
).encode()
NAMES = "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (NAMES, FunctionError("Runtime.StreamError", b'{"errorMessage":"late"}')),
        (NAMES.lower(), FunctionError("Runtime.StreamError", b'{"errorMessage":"late"}')),
        ("Lambda-Runtime-Function-Error-Type", FunctionError("Runtime.StreamError", b"")),
        ("", None),
    ],
)
async def test_trailers_count_when_they_were_declared(
    declared: str, expected: FunctionError | None
) -> None:
    """Undeclared trailers are dropped, as AWS documents."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        more = {"Trailer": declared} if declared else {}
        await runtime.send("POST", path(one), b"1\r\na\r\n" + TRAILERS, **STREAMING, **more)
        response = await one.response
        assert await response.read_all(9) == b"a"
        assert response.error == expected
        assert (await runtime.read())[0] == 202


@pytest.mark.parametrize("rest", [b"", b"5\r\nab", b"0\r\n", b"0\r\nX: y\r\n"])
async def test_a_body_without_its_last_chunk_is_truncated(rest: bytes) -> None:
    """400 for the runtime, Runtime.TruncatedResponse for the caller; `/next` works after it."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        await runtime.send("POST", path(one), b"1\r\na\r\n" + rest, **STREAMING)
        response = await one.response
        runtime.writer.write_eof()
        with pytest.raises(BrokenResponseError) as broken:
            await response.read_all(9)
        assert broken.value.error.type == "Runtime.TruncatedResponse"
        status, _, body = await runtime.read()
        assert (status, json.loads(body)["errorType"]) == (400, "TruncatedHTTPRequest")
        await give_invocation(await here.connect(), here.api)


async def test_a_buffered_response_over_six_megabytes_is_refused() -> None:
    """413 at the first byte over the limit; the caller gets ResponseSizeTooLarge."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        assert await runtime.hear("POST", path(one), b"x" * 6_291_556) == (202, "")
        two = await give_invocation(runtime, here.api)
        said = await runtime.hear("POST", path(two), b"x" * 6_291_557)
        assert said == (413, "RequestEntityTooLarge")
        error = (await two.response).error
        assert error is not None
        assert error.type == "Function.ResponseSizeTooLarge"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Runtime.UnknownReason", "Runtime.UnknownReason"),
        ("Function.Boom", "Function.Boom"),
        ("Function.Boom2", "Function.Unknown"),
        ("ValueError", "Runtime.Unknown"),
        ("", "Runtime.Unknown"),
    ],
)
async def test_error_types_are_kept_or_replaced(sent: str, kept: str) -> None:
    """Only `Runtime.X` and `Function.X` pass."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        head = {"Lambda_Runtime_Function_Error_Type": sent} if sent else {}
        assert await runtime.hear("POST", path(one, "error"), b'{"errorMessage":"m"}', **head) == (
            202,
            "",
        )
        assert (await one.response).error == FunctionError(kept, b'{"errorMessage":"m"}')


async def test_an_error_that_breaks_off_is_still_an_error() -> None:
    """202, as AWS's own server says; the caller is not left waiting."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        head = {
            "Transfer_Encoding": "chunked",
            "Lambda_Runtime_Function_Error_Type": "Function.Boom",
        }
        await runtime.send("POST", path(one, "error"), b"5\r\nx", **head)
        runtime.writer.write_eof()
        assert (await runtime.read())[0] == 202
        assert (await one.response).error == FunctionError("Function.Boom", b"")


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", f"{BASE}/invocation/next", 405),
        ("GET", f"{BASE}/init/error", 405),
        ("PUT", f"{BASE}/invocation/some/response", 405),
        ("GET", "/2018-06-01/ping", 200),
        ("GET", "/ping", 404),
        ("GET", "/runtime/invocation/next", 404),
    ],
)
async def test_paths_have_their_methods_and_their_version(
    method: str, target: str, status: int
) -> None:
    """Another method is 405; without the version there is nothing."""
    async with bench() as here:
        assert (await (await here.connect()).ask(method, target))[0] == status


async def test_an_init_error_is_taken_once() -> None:
    """202, then 403: the runtime has said that it cannot start."""
    async with bench() as here:
        runtime = await here.connect()
        head = {"Lambda_Runtime_Function_Error_Type": "Runtime.ImportModuleError"}
        assert await runtime.hear("POST", f"{BASE}/init/error", b"{}", **head) == (202, "")
        assert here.api.init_error == FunctionError("Runtime.ImportModuleError", b"{}")
        said = await runtime.hear("POST", f"{BASE}/init/error", b"{}", **head)
        assert said == (403, "InvalidStateTransition")
        assert await runtime.hear("GET", f"{BASE}/invocation/next") == (
            403,
            "InvalidStateTransition",
        )


async def test_an_attempt_that_is_over_gets_410() -> None:
    """A foreign nonce, and a post after the timeout: gone."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        foreign = {"Lambda_Runtime_Invocation_Id": "another"}
        assert await runtime.hear("POST", path(one), b"x", **foreign) == (410, "InvokeTimeout")
        here.api.expire(one)
        assert await runtime.hear("POST", path(one), b"x") == (410, "InvokeTimeout")


async def test_a_timed_out_stream_loses_its_connection() -> None:
    """The runtime's post is reset in mid-body; the caller reads how far it came."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        await runtime.send("POST", path(one), b"1\r\na\r\n", **STREAMING)
        response = await one.response
        assert await response.read() == b"a"
        here.api.expire(one)
        one.fail(FunctionError("Sandbox.Timedout", b"{}"))
        with pytest.raises(BrokenResponseError):
            await response.read()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await runtime.read()


async def test_concurrent_invocations_are_told_apart_by_their_ids() -> None:
    """Two polls, two invocations, answers in the other order."""
    async with bench(2) as here:
        first, second = await here.connect(), await here.connect()
        one, two = await give_invocation(first, here.api), await give_invocation(second, here.api)
        assert await second.hear("POST", path(two), b"2") == (202, "")
        assert await first.hear("POST", path(one), b"1") == (202, "")
        assert await (await one.response).read_all(9) == b"1"
        assert await (await two.response).read_all(9) == b"2"
        assert await first.hear("POST", path(one), b"1") == (400, "InvalidRequestID")


async def test_concurrent_runtimes_see_empty_headers() -> None:
    """The concurrent server sends client context and identity even when they are empty."""
    async with bench(1) as here:
        here.api.submit(invocation())
        _, headers, _ = await (await here.connect()).ask("GET", f"{BASE}/invocation/next")
    assert headers["lambda-runtime-client-context"] == ""
    assert headers["lambda-runtime-cognito-identity"] == ""


async def test_more_polls_than_places_are_an_error() -> None:
    """The poll after the last place is refused."""
    async with bench(1) as here:
        first, second = await here.connect(), await here.connect()
        await first.send("GET", f"{BASE}/invocation/next")
        await here.api.ready.wait()
        said = await second.hear("GET", f"{BASE}/invocation/next")
        assert said == (403, "Runtime.TooManyIdleRuntimes")


async def test_a_snapshot_waits_between_init_and_next() -> None:
    """restore/next blocks until the first invocation, then `/next` delivers it."""
    async with bench(snap_start=True) as here:
        runtime = await here.connect()
        await runtime.send("GET", f"{BASE}/restore/next")
        await here.api.ready.wait()
        assert here.api.state == "RestoreReady"
        one = invocation()
        here.api.submit(one)
        assert (await runtime.read())[0] == 200
        assert here.api.state == "Restoring"
        got = await runtime.ask("GET", f"{BASE}/invocation/next")
        assert got[1]["lambda-runtime-aws-request-id"] == one.id


async def test_a_failed_restore_fails_the_invocation() -> None:
    """restore/error is what the caller is told."""
    async with bench(snap_start=True) as here:
        runtime = await here.connect()
        one = invocation()
        here.api.submit(one)
        assert (await runtime.ask("GET", f"{BASE}/restore/next"))[0] == 200
        head = {"Lambda_Runtime_Function_Error_Type": "Runtime.AfterRestoreError"}
        assert await runtime.hear("POST", f"{BASE}/restore/error", b"{}", **head) == (202, "")
        assert (await one.response).error == FunctionError("Runtime.AfterRestoreError", b"{}")


async def test_there_is_no_restore_without_a_snapshot() -> None:
    """404, as where init caching is off."""
    async with bench() as here:
        assert (await (await here.connect()).ask("GET", f"{BASE}/restore/next"))[0] == 404


@pytest.mark.parametrize("concurrency", [None, 2])
async def test_what_comes_after_a_death_fails_at_once(concurrency: int | None) -> None:
    """Also an invocation that was handed to a poll in the moment its process was killed."""
    async with bench(concurrency) as here:
        error = FunctionError("Runtime.ExitError", b"{}")
        runtime = await here.connect()
        await runtime.send("GET", f"{BASE}/invocation/next")
        await here.api.ready.wait()
        handed = invocation()
        runtime.writer.transport.abort()
        here.api.submit(handed)
        await here.api.bury(error)
        late = invocation()
        here.api.submit(late)
        async with asyncio.timeout(60):
            assert (await handed.response).error == error
            assert (await late.response).error == error


async def test_the_last_words_of_a_dead_process_are_heard() -> None:
    """What lay in its socket when it died still reaches the caller; then its exit is told."""
    async with bench() as here:
        runtime = await here.connect()
        one = await give_invocation(runtime, here.api)
        exit_error = FunctionError("Runtime.ExitError", b"{}")
        await runtime.send("POST", path(one), b"1\r\na\r\n", **STREAMING)
        runtime.writer.close()
        here.api.posts.exit_error = exit_error
        burial = asyncio.create_task(here.api.bury(exit_error))
        response = await one.response
        assert response.error is None
        assert await response.read() == b"a"
        with pytest.raises(BrokenResponseError) as broken:
            await response.read()
        assert broken.value.error == exit_error
        await burial
