"""What every HTTP front does alike: invoke, read the answer, carry it to the client.

A front differs in its words for failure, its limits and its headers; those are a `Front`.
The client's leaving is never told to the function.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate

from emulator.body import TooLargeError
from emulator.faults import Fault, Faults
from emulator.function import Answer, Call, Function, ThrottledError
from emulator.http1 import Headers, Reply
from emulator.integration import (
    REMAPPED,
    HttpAnswer,
    MalformedError,
    once,
    read_buffered,
    read_streamed,
)
from emulator.invocation import BrokenResponseError
from emulator.payloads import REQUEST_LIMIT
from emulator.sandbox import Log
from emulator.stages import CutError, Stream, idle, spoil, throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontOptions:
    """What may go wrong in this cloud, and who is told: faults, bandwidth, the log."""

    faults: Faults
    log: Log
    throttled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """How one kind of front behaves. Times are in seconds; None means no such limit.

    `malformed` and `late` are (status, body) for an answer that cannot be read and for none
    within `total` (or within `head`, the limit to the first byte).
    """

    name: str
    streaming: bool
    version: str = "2.0"
    strict: bool = False
    remapped: frozenset[str] = REMAPPED
    malformed: tuple[int, bytes] = (502, b"Internal Server Error")
    late: tuple[int, bytes] = (504, b'{"message":"Endpoint request timed out"}')
    head: float | None = None
    idle: float | None = None
    total: float | None = None


async def carry(
    front: Front,
    front_options: FrontOptions,
    function: Function,
    payload: object,
    reply: Reply,
    *,
    headers: Sequence[tuple[str, str]] = (),
    request_id: str = "",
) -> None:
    """Invoke `function` and answer `reply`. `headers` are added to the function's own.

    `request_id` is the invocation's, where the front's own request has none.
    """
    request = reply.request
    faults = front_options.faults.take(
        front=front.name, function=function.spec.name, path=request.path
    )
    began = time.monotonic()
    how = ""
    try:
        if await refuse_by_fault(faults, reply):
            how = "refused"
            return
        call = Call(
            payload=json.dumps(payload).encode(), request_id=request_id or str(uuid.uuid4())
        )
        loop = asyncio.get_running_loop()
        ends = None if front.total is None else loop.time() + front.total
        async with _late_after(front, reply), function.invoke(call, faults) as answer:
            if reply.status:
                return  # too late; leaving the context drops the rest of the response
            how = await _answer(
                front, front_options, answer, reply, faults=faults, headers=headers, ends=ends
            )
    except ThrottledError as error:
        document = {"Reason": error.reason, "Type": "User", "message": "Rate Exceeded."}
        await reply.send(429, _json(headers), json.dumps(document).encode())
    finally:
        line = f"{request.method} {request.path} {reply.status or '-'} {reply.sent} bytes"
        struck = f" [{', '.join(fault.kind for fault in faults)}]" if faults else ""
        took = time.monotonic() - began
        front_options.log(
            function.spec.public, f"{line} {took:.2f} s {front.name}{struck} {how}".rstrip()
        )


async def read_body(reply: Reply, *, message: bytes) -> bytes | None:
    """The request's body, or None after a 413."""
    try:
        return await reply.request.body.read_all(REQUEST_LIMIT)
    except TooLargeError:
        await reply.send(413, _json(()), message)
        return None


async def refuse_by_fault(faults: Sequence[Fault], reply: Reply) -> bool:
    """Answer for the function when a fault says so."""
    for fault in faults:
        if fault.kind == "refuse":
            if fault.status == 0:
                await reply.cut(reset=True)
            else:
                head = [("Date", formatdate(usegmt=True)), *fault.headers.items()]
                await reply.send(fault.status, head, fault.body.encode())
            return True
    return False


async def _answer(
    front: Front,
    front_options: FrontOptions,
    answer: Answer,
    reply: Reply,
    *,
    faults: Sequence[Fault],
    headers: Sequence[tuple[str, str]],
    ends: float | None,
) -> str:
    """Carry one response out; says how it ended, "" for well."""
    stage = [("Date", formatdate(usegmt=True)), *headers]
    try:
        http = await _read_answer(front, answer)
    except (MalformedError, BrokenResponseError) as error:
        await reply.send(front.malformed[0], _json(stage), front.malformed[1])
        return f"({error})"
    body: Stream = http.body
    length = None
    if not front.streaming:
        content = b"".join([data async for data in body])
        # To a HEAD the function sends no body, and how long it would be is not known here.
        length = None if reply.request.method == "HEAD" and not content else len(content)
        body = once(content)
    if front.idle is not None:
        body = idle(body, front.idle)
    if front_options.throttled and front.streaming:
        body = throttle(body)
    body = spoil(body, faults, answer.sandbox)
    # The platform stops carrying when it stops the function, however slow the client is.
    limit = answer.timer.when() + 1 if ends is None else min(ends, answer.timer.when() + 1)
    try:
        async with aclosing(body), asyncio.timeout_at(limit):
            # The function's own word wins over the front's: its Server, its CORS.
            own = {name.lower() for name, _ in http.headers}
            kept = [pair for pair in stage if pair[0].lower() not in own]
            await reply.start(http.status, [*http.headers, *kept], length=length)
            async for data in body:
                await reply.write(data)
            await reply.finish()
    except CutError as cut:
        await reply.cut(reset=cut.reset)
        return "cut"
    except BrokenResponseError as error:
        await reply.cut()
        return f"cut ({error})"
    except TimeoutError:
        await reply.cut()
        return "cut (out of time)"
    except ConnectionError:
        return "the client left"
    return f"({answer.response.error.type})" if answer.response.error else ""


async def _read_answer(front: Front, answer: Answer) -> HttpAnswer:
    response = answer.response
    if response.error is not None:
        raise BrokenResponseError(response.error)
    if front.streaming:
        return await read_streamed(response, strict=front.strict, remapped=front.remapped)
    return await read_buffered(response, version=front.version, remapped=front.remapped)


@asynccontextmanager
async def _late_after(front: Front, reply: Reply) -> AsyncIterator[None]:
    """Answer for a function that has not begun within the front's patience.

    The invocation itself is not cancelled: a function is not told that its caller has gone.
    """
    limits = [limit for limit in (front.head, front.idle, front.total) if limit is not None]
    if not limits:
        yield
        return

    cancellable = True

    async def answer() -> None:
        nonlocal cancellable
        await asyncio.sleep(min(limits))
        if not reply.status:
            cancellable = False
            head = [("Date", formatdate(usegmt=True)), ("Content-Type", "application/json")]
            await reply.send(front.late[0], head, front.late[1])

    timer = asyncio.create_task(answer())
    try:
        yield
    finally:
        if cancellable:
            timer.cancel()
        await asyncio.wait((timer,))


def _json(headers: Headers) -> list[tuple[str, str]]:
    return [("Content-Type", "application/json"), *headers]
