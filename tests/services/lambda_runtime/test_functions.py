"""Plain handler functions under our runtime: the stock runtime's contract, and streams besides."""

import asyncio
import base64
import json
import os
import threading
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.runtime_api import Step, invocation

pytestmark = pytest.mark.anyio


def sync(event: Any, context: Any) -> Any:
    return {"event": event, "id": context.aws_request_id}


async def coroutine(event: Any, context: Any) -> Any:
    await asyncio.sleep(0)
    return {"event": event, "id": context.aws_request_id}


class Callable:
    async def __call__(self, event: Any, context: Any) -> Any:
        return {"event": event, "id": context.aws_request_id}


@pytest.mark.parametrize("function", [sync, coroutine, Callable(), partial(sync)])
@pytest.mark.parametrize("payload", [{"a": [1, None, "ü"]}, [], "text", 5, None, True])
async def test_a_function_is_answered_buffered(function: Any, payload: Any) -> None:
    """Any JSON in, any JSON out, whatever the invoke mode."""
    async with run_runtime(function) as h:
        call = await h.invoke(payload)
    assert call.path.endswith("/response")
    assert call.header("content-type") == "application/json"
    assert call.header("Lambda-Runtime-Function-Response-Mode") is None
    assert call.json == {"event": payload, "id": "invocation-0"}


async def test_a_sync_function_may_run_a_loop_of_its_own() -> None:
    """As under the stock runtime: asyncio.run works in it, and it does not stop ours."""

    def function(event: Any, context: Any) -> Any:
        async def work() -> str:
            await asyncio.sleep(0)
            return threading.current_thread().name

        return asyncio.run(work())

    async with run_runtime(function) as h:
        call = await h.invoke({})
    assert call.json != threading.current_thread().name


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, b"null"),
        ("ü", '"ü"'.encode()),
        (Decimal("1.50"), b"1.50"),
        (Decimal(3), b"3"),
        ((1, 2), b"[1, 2]"),
    ],
)
async def test_results_are_marshalled_like_the_stock_runtimes(value: Any, sent: bytes) -> None:
    """UTF-8 rather than escapes, and decimals as numbers."""
    async with run_runtime(lambda _event, _context: value) as h:
        call = await h.invoke({})
    assert bytes(call.body) == sent


@pytest.mark.parametrize("value", [[bytearray(b"bytes")], object(), {1, 2}, {(1, 2): 3}])
async def test_a_result_that_is_no_json_is_a_marshal_error(value: Any) -> None:
    """With the type Lambda knows."""
    async with run_runtime(lambda _event, _context: value) as h:
        call = await h.invoke({})
    assert call.path.endswith("/error")
    assert call.header("Lambda-Runtime-Function-Error-Type") == "Runtime.MarshalError"


class Odd_Error(Exception):  # noqa: N801 (a name Lambda does not keep)
    """An exception whose class name is not of Lambda's kind."""


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("no good"), "Function.ValueError"),
        (Odd_Error("no good"), "Function.Unknown"),
        (KeyboardInterrupt("no good"), "Function.KeyboardInterrupt"),
    ],
)
async def test_an_exception_is_told_with_class_message_and_frames(
    error: BaseException, kind: str, asynchronous: bool
) -> None:
    """Of the function's own code: the runtime's frames say nothing to its author."""

    def function(event: Any, context: Any) -> Any:
        raise error

    async def return_awaitable(event: Any, context: Any) -> Any:
        raise error

    async with run_runtime(return_awaitable if asynchronous else function) as h:
        call = await h.invoke({})
        again = await h.invoke({})
    assert call.path.endswith("/error")
    assert again.path.endswith("/error")
    assert call.header("Lambda-Runtime-Function-Error-Type") == kind
    said = call.json
    assert said["errorMessage"] == "no good"
    assert said["errorType"] == type(error).__name__
    assert said["requestId"] == "invocation-0"
    assert any("test_functions.py" in line for line in said["stackTrace"])
    assert not any("lambda_runtime/loop.py" in line for line in said["stackTrace"])


async def test_an_async_function_is_stopped_at_its_deadline() -> None:
    """On Managed Instances Lambda does not; and it has every millisecond before it."""

    async def function(event: Any, context: Any) -> Any:
        await asyncio.Event().wait()

    async with run_runtime(function) as h:
        call = await h.invoke({}, seconds=0.2)
    assert call.header("Lambda-Runtime-Function-Error-Type") == "Runtime.DeadlineReached"


async def test_an_async_generator_streams_what_it_yields() -> None:
    """Bytes and text, with no HTTP meaning: no prelude."""
    released = asyncio.Event()

    async def function(event: Any, context: Any) -> Any:
        yield b"one "
        await released.wait()
        yield ""
        yield "zwei ü "
        yield bytearray(b"three")

    async with run_runtime(function) as h:
        h.api.waiting.put_nowait(invocation({"a": 1}))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: bytes(call.body) == b"one ")
        released.set()
        await h.api.until(lambda: call.complete)
    assert call.header("content-type") == "application/octet-stream"
    assert call.header("Lambda-Runtime-Function-Response-Mode") == "streaming"
    assert bytes(call.body).decode() == "one zwei ü three"
    assert not call.trailers


async def test_a_generator_that_fails_is_an_error_in_its_phase() -> None:
    """Before the first frame an invocation error, after it trailers."""

    async def function(event: Any, context: Any) -> Any:
        if event:
            yield b"half"
        raise ValueError("no good")

    async with run_runtime(function) as h:
        before = await h.invoke([])
        after = await h.invoke([1])
    assert before.path.endswith("/error")
    assert before.json["errorType"] == "ValueError"
    assert bytes(after.body) == b"half"
    error = json.loads(base64.b64decode(after.trailers["lambda-runtime-function-error-body"]))
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no good")
    assert after.trailers["lambda-runtime-function-error-type"] == "Function.ValueError"


async def test_an_empty_generator_is_an_empty_stream() -> None:
    """Head and end, at once."""

    async def function(event: Any, context: Any) -> Any:
        if event:
            yield b"never"

    async with run_runtime(function) as h:
        call = await h.invoke([])
    assert bytes(call.body) == b""
    assert call.complete


async def test_a_generator_is_closed_when_its_reader_leaves() -> None:
    """Its finally has run before the next invocation."""
    closed: list[bool] = []

    async def function(event: Any, context: Any) -> Any:
        try:
            while True:
                yield b"word " * 100
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async with run_runtime(function) as h:
        h.api.script("/response", Step(after=3000, reset=True))
        h.api.waiting.put_nowait(invocation({}))
        await h.api.until(lambda: h.api.polls == 2)
        assert closed == [True]


async def test_a_generator_is_joined_where_streams_are_not_wanted() -> None:
    """RIVERRUN_INVOKE_MODE=buffered."""

    async def function(event: Any, context: Any) -> Any:
        yield b'{"a":'
        yield "1}"

    async with run_runtime(function, mode="buffered") as h:
        call = await h.invoke({})
    assert call.json == {"a": 1}


async def test_the_context_is_the_stock_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attribute for attribute."""
    seen: list[Any] = []

    async def function(event: Any, context: Any) -> Any:
        seen.append(context)

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    monkeypatch.delenv("AWS_LAMBDA_LOG_GROUP_NAME", raising=False)
    mobile = {"custom": {"a": "b"}, "env": {"e": "f"}, "client": {"app_title": "t"}}
    more = [
        ("Lambda-Runtime-Client-Context", json.dumps(mobile)),
        (
            "Lambda-Runtime-Cognito-Identity",
            '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
        ),
        ("Lambda-Runtime-Aws-Tenant-Id", "blue"),
    ]
    async with run_runtime(function) as h:
        await h.invoke({}, more=more)
        await h.invoke({})
    context, plain = seen
    assert context.function_name == "f"
    assert context.function_version == "$LATEST"
    assert context.memory_limit_in_mb == "512"
    assert context.log_group_name is None
    assert context.invoked_function_arn.startswith("arn:aws:lambda:")
    assert context.tenant_id == "blue"
    assert context.client_context.custom == {"a": "b"}
    assert context.client_context.client.app_title == "t"
    assert context.client_context.client.installation_id is None
    assert context.identity.cognito_identity_id == "i"
    assert context.identity.cognito_identity_pool_id == "p"
    assert plain.client_context is None
    assert plain.identity == SimpleNamespace(
        cognito_identity_id=None, cognito_identity_pool_id=None
    )
    assert plain.tenant_id is None
    assert 0 < plain.get_remaining_time_in_millis() <= 30_000


async def test_the_trace_is_in_the_environment_for_one_invocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set, replaced, and gone again when Lambda sends none."""
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)

    async def function(event: Any, context: Any) -> Any:
        return os.environ.get("_X_AMZN_TRACE_ID")

    async with run_runtime(function) as h:
        traced = await h.invoke({})
        untraced = await h.invoke({}, without=["Lambda-Runtime-Trace-Id"])
    assert traced.json.startswith("Root=1-")
    assert untraced.json is None


async def test_http_payloads_are_just_json_to_a_function() -> None:
    """It answers the proxy object itself, as it always did."""

    def function(event: Any, context: Any) -> Any:
        return {"statusCode": 200, "body": event["rawPath"]}

    async with run_runtime(function) as h:
        call = await h.invoke(http("/there"))
    assert call.json == {"statusCode": 200, "body": "/there"}
