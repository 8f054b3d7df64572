"""The Lambda Invoke API, as SDKs speak it: Invoke and InvokeWithResponseStream.

Signatures are not verified. A function is found by its name, its logical id in the template,
or any ARN that ends in one of them.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs, unquote

from emulator.body import TooLargeError
from emulator.cloudformation import ACCOUNT, REGION
from emulator.eventstream import CONTENT_TYPE, invoke_complete, payload_chunk
from emulator.faults import Fault
from emulator.fronts import FrontOptions, refuse_by_fault
from emulator.function import Answer, Call, Function, ThrottledError
from emulator.hosts import is_from_page, refuse_request
from emulator.http1 import Handler, Reply, Request
from emulator.invocation import PAYLOAD_LIMIT, BrokenResponseError, FunctionError, new_trace_id
from emulator.json_input import parse_json
from emulator.stages import INNER, CutError, Stream, spoil, throttle

REQUEST_LIMIT = 6 * 1024 * 1024
EVENT_LIMIT = 1024 * 1024
_LOG_LIMIT = 4096
_FRAME_LIMIT = 1024 * 1024

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_STREAM = re.compile(r"/2021-11-15/functions/([^/]+)/response-streaming-invocations")


class _RefusedError(Exception):
    """A service error: status, exception name, message, more members."""

    def __init__(self, status: int, name: str, message: str, **more: str) -> None:
        super().__init__(message)
        self.status, self.name, self.more = status, name, more


def invoke_api(functions: Mapping[str, Function], front_options: FrontOptions) -> Handler:
    """The handler of the Invoke API."""
    known = {**{f.spec.logical_id: f for f in functions.values()}, **functions}

    async def handle(request: Request, reply: Reply) -> None:
        if is_from_page(request):
            await refuse_request(reply, "A call of AWS's own is signed, and no page can sign one.")
            return
        try:
            function, carry = _operation(known, request)
            kind = request.header("x-amz-invocation-type") or "RequestResponse"
            _check_kind(kind)
            call = await _call(request, EVENT_LIMIT if kind == "Event" else REQUEST_LIMIT)
            faults = front_options.faults.take(
                front="invoke-api", function=function.spec.name, path=request.path
            )
            if await refuse_by_fault(faults, reply):
                return
            if kind == "DryRun":
                await reply.send(204, [])
            elif kind == "Event":
                function.detach(call)
                await reply.send(202, [])
            else:
                async with function.invoke(call, faults) as answer:
                    await carry(answer, reply, faults, front_options)
        except ThrottledError as error:
            await _refuse(reply, _to_refusal(error))
        except _RefusedError as error:
            await _refuse(reply, error)

    return handle


Carry = Callable[[Answer, Reply, Sequence[Fault], FrontOptions], Awaitable[None]]


def _operation(known: Mapping[str, Function], request: Request) -> tuple[Function, Carry]:
    if request.method == "POST":
        if named := _STREAM.fullmatch(request.path):
            return _find_function(known, unquote(named[1])), _stream
        if named := _INVOKE.fullmatch(request.path):
            return _find_function(known, unquote(named[1])), _whole
    raise _RefusedError(404, "UnknownOperationException", "No such operation.")


def _check_kind(kind: str) -> None:
    if kind not in ("RequestResponse", "DryRun", "Event"):
        message = f"Value '{kind}' at 'invocationType' failed to satisfy constraint"
        raise _RefusedError(400, "InvalidParameterValueException", message)


async def _call(request: Request, limit: int) -> Call:
    try:
        payload = await request.body.read_all(limit)
    except TooLargeError:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        raise _RefusedError(413, "RequestTooLargeException", message) from None
    try:
        parse_json(payload or b"{}")
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise _RefusedError(400, "InvalidRequestContentException", message) from error
    context = request.header("x-amz-client-context")
    try:
        context = base64.b64decode(context, validate=True).decode() if context else ""
    except (binascii.Error, ValueError) as error:
        message = "Client context must be a valid Base64-encoded JSON object."
        raise _RefusedError(400, "InvalidRequestContentException", message) from error
    return Call(
        payload=payload or b"{}",
        client_context=context,
        tenant_id=request.header("x-amz-tenant-id"),
        trace_id=request.header("x-amzn-trace-id") or new_trace_id(),
    )


async def _whole(
    answer: Answer, reply: Reply, faults: Sequence[Fault], _front_options: FrontOptions
) -> None:
    """Invoke: the response in one piece, prelude and all when the function streamed one."""
    request = reply.request
    head = [*_head(request, answer), ("Content-Type", "application/json")]
    if request.header("x-amz-log-type") == "Tail":
        head.append(("X-Amz-Log-Result", _tail(answer)))
    error = answer.response.error
    content = b""
    if error is None:
        try:
            body = spoil(_pieces(answer), [f for f in faults if f.kind in INNER], answer.sandbox)
            async with aclosing(body):
                content = b"".join([data async for data in body])
            error = answer.response.error
        except BrokenResponseError as broken:
            error = broken.error
        except CutError:
            await reply.cut()
            return
    if error is not None:
        head.append(("X-Amz-Function-Error", "Unhandled"))
        content = error.body
    await reply.start(200, head, length=len(content))
    await _send(_once(content), faults, answer, reply)


async def _stream(
    answer: Answer, reply: Reply, faults: Sequence[Fault], front_options: FrontOptions
) -> None:
    """InvokeWithResponseStream: frames, then how it ended."""
    request = reply.request
    head = [
        *_head(request, answer),
        ("Content-Type", CONTENT_TYPE),
        ("X-Amzn-Remapped-Content-Type", answer.response.content_type or "application/json"),
    ]
    await reply.start(200, head)
    inner = [fault for fault in faults if fault.kind in INNER]
    await _send(_frames(request, answer, inner, front_options), faults, answer, reply)


async def _frames(
    request: Request, answer: Answer, faults: Sequence[Fault], front_options: FrontOptions
) -> Stream:
    error = answer.response.error
    if error is None:
        body: Stream = _raw(answer)
        if front_options.throttled:
            body = throttle(body)
        try:
            async with aclosing(spoil(body, faults, answer.sandbox)) as source:
                async for data in source:
                    for start in range(0, len(data), _FRAME_LIMIT):
                        yield payload_chunk(data[start : start + _FRAME_LIMIT])
            error = answer.response.error
        except BrokenResponseError as broken:
            error = broken.error
    document: dict[str, str] = {}
    if error is not None:
        document = {"ErrorCode": error.type, "ErrorDetails": _details(error)}
    if request.header("x-amz-log-type") == "Tail":
        document["LogResult"] = _tail(answer)
    yield invoke_complete(json.dumps(document).encode())


async def _raw(answer: Answer) -> Stream:
    while data := await answer.response.read():
        yield data


async def _pieces(answer: Answer) -> Stream:
    yield await answer.response.read_all(PAYLOAD_LIMIT)


async def _once(content: bytes) -> Stream:
    if content:
        yield content


async def _send(body: Stream, faults: Sequence[Fault], answer: Answer, reply: Reply) -> None:
    outer = [fault for fault in faults if fault.kind not in INNER]
    try:
        async with aclosing(spoil(body, outer, answer.sandbox)) as source:
            async for data in source:
                await reply.write(data)
        await reply.finish()
    except CutError as cut:
        await reply.cut(reset=cut.reset)


def _find_function(known: Mapping[str, Function], given: str) -> Function:
    """By name, partial ARN, ARN, each with or without `:qualifier`."""
    parts = given.split(":")
    if parts[0] == "arn":
        parts = parts[parts.index("function") + 1 :] if "function" in parts else [""]
    elif "function" in parts:
        parts = parts[parts.index("function") + 1 :]
    function = known.get(parts[0])
    if function is None:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{parts[0]}"
        raise _RefusedError(404, "ResourceNotFoundException", f"Function not found: {arn}")
    return function


def _to_refusal(error: ThrottledError) -> _RefusedError:
    return _RefusedError(429, "TooManyRequestsException", str(error), Reason=error.reason)


async def _refuse(reply: Reply, error: _RefusedError) -> None:
    document: dict[str, Any] = {"Type": "User", "message": str(error), "Message": str(error)}
    head = [
        ("Content-Type", "application/json"),
        ("x-amzn-ErrorType", error.name),
        ("x-amzn-RequestId", str(uuid.uuid4())),
    ]
    if error.status == 429:
        head.append(("Retry-After", "1"))
    await reply.send(error.status, head, json.dumps(document | error.more).encode())


def _head(request: Request, answer: Answer) -> list[tuple[str, str]]:
    version = parse_qs(request.query).get("Qualifier", [""])[0]
    known = version if re.fullmatch(r"[A-Za-z0-9_-]+", version) else "$LATEST"
    return [("x-amzn-RequestId", answer.request_id), ("X-Amz-Executed-Version", known)]


def _tail(answer: Answer) -> str:
    text = "".join(f"{line}\n" for line in answer.sandbox.tail).encode()
    return base64.b64encode(text[-_LOG_LIMIT:]).decode("ascii")


def _details(error: FunctionError) -> str:
    return error.body.decode("utf-8", "replace")
