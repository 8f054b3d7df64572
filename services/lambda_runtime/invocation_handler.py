"""One invocation's answer, whichever way it is carried and whatever goes wrong.

How an answer is worded is in `wire`, how an application is talked to in `asgi` and `function`;
here is what happens in which order, and what a failure means:

1. before the first byte: a status of 500 (504 at the deadline, 503 at shutdown) for HTTP, an
   invocation error for everything else;
2. after it: the trailers, and a last event where an event stream can take one;
3. after the end: a line in the log.
"""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Literal, NamedTuple

from . import failures, function, wire
from . import payload as payloads
from .answer import StreamedAnswer
from .asgi import Exchange
from .client import Line
from .connection import Connection
from .delivery import Delivery, Setup
from .invocation import Context, Invocation
from .invocation_scope import Leftovers
from .writer import StreamWriter

logger = logging.getLogger(__name__)

MARGIN = 1.2  # seconds before the deadline; the last byte leaves a full second before it


class Ending(NamedTuple):
    """How the application's code ended: with a value, an error, or cut short."""

    value: object = None
    error: BaseException | None = None
    cut: Literal["", "deadline", "shutdown"] = ""


Supervise = Callable[[Callable[[], Awaitable[object]], float, Leftovers], Awaitable[Ending]]


class Turn:
    """One invocation, from its payload to Lambda's verdict on the answer."""

    __slots__ = ("_delivery", "_invocation", "_leftovers", "_setup", "_supervise")

    def __init__(
        self,
        setup: Setup,
        invocation: Invocation,
        line: Line,
        supervise: Supervise,
        leftovers: Leftovers,
    ) -> None:
        self._setup = setup
        self._invocation = invocation
        self._delivery = Delivery(setup, invocation, line)
        self._leftovers = leftovers
        self._supervise = supervise

    async def answer(self) -> None:
        """Answer it. Raises `OSError` or `ProtocolError` when the answer cannot be delivered."""
        try:
            payload = json.loads(self._invocation.payload)
        except (ValueError, RecursionError) as error:
            problem = f"Unable to unmarshal input: {error}"
            await self._delivery.report(wire.Failure("Runtime.UnmarshalError", problem))
            return
        context = Context(self._invocation, self._setup.environ, self._setup.clock)
        if self._setup.application.kind == "asgi":
            await self._serve(payload, context)
        elif self._streaming and function.streams(self._setup.application.run):
            await self._stream_frames(payload, context)
        else:
            await self._call(payload, context)

    @property
    def _streaming(self) -> bool:
        return self._setup.environment.invoke_mode == "response_stream"

    # ASGI applications

    async def _serve(self, payload: Any, context: Context) -> None:
        try:
            shape, scope, body = payloads.read(payload)
        except payloads.PayloadError as error:
            from . import buffered

            logger.warning("The payload was refused: %s", error.message)
            await self._delivery.respond(_to_json(buffered.refusal(error)))
            return
        scope["aws.event"] = payload
        scope["aws.context"] = context
        scope["riverrun.deadline"] = self._invocation.deadline
        scope["state"] = dict(self._setup.state)
        if self._streaming and payloads.may_stream(payload, shape):
            await self._stream(scope, body, multi_value=shape == "rest")
            return
        from . import buffered

        answer = buffered.BufferedAnswer()
        await self._exchange(Exchange(scope, body, answer))
        await self._delivery.respond(
            _to_json(buffered.write_response(payload, shape, *answer.result))
        )

    async def _stream(self, scope: dict[str, Any], body: bytes, *, multi_value: bool) -> None:
        connection = await self._delivery.open()
        try:
            writer = StreamWriter(connection, self._delivery.head(wire.HTTP_INTEGRATION))
            exchange = Exchange(scope, body, StreamedAnswer(writer, multi_value=multi_value))
            connection.on_answer = exchange.disconnect
            if connection.lost is None:
                await self._exchange(exchange)
            if writer.begun and connection.connected:
                await self._delivery.confirm(connection, ended=writer.ended)
                return
        finally:
            self._delivery.close(connection)
        await self._delivery.report(_UNSENT)

    async def _exchange(self, exchange: Exchange) -> None:
        """Run the application over one exchange, and complete what it left incomplete."""
        run = partial(self._setup.application.run, exchange.scope, exchange.receive, exchange.send)
        if (left := self._time_left()) > 0:
            ending = await self._supervise(run, left, self._leftovers)
        else:
            ending = Ending(cut="deadline")
        _conclude(exchange, ending)
        self._leftovers.context.run(failures.let_go, ending.error)

    # Handler functions

    async def _call(self, payload: object, context: Context) -> None:
        """As under the stock runtime the function has all its time: Lambda does the killing."""
        run = self._setup.application.run
        left = self._invocation.deadline - self._setup.clock()
        if function.streams(run):
            work: Callable[[], Awaitable[object]] = partial(_joined, run, payload, context)
        else:
            work = partial(function.call, run, payload, context, self._setup.threads)
        ending = await self._supervise(work, left, self._leftovers)
        if isinstance(ending.value, bytes):
            await self._delivery.respond(ending.value)
            return
        if ending.error is not None:
            logger.error("The function failed.", exc_info=ending.error)
        await self._delivery.report(_failure_of(ending))

    async def _stream_frames(self, payload: object, context: Context) -> None:
        connection = await self._delivery.open()
        try:
            writer = StreamWriter(connection, self._delivery.head(wire.OCTETS))
            frames = partial(function.frames, self._setup.application.run, payload, context)
            ending = await self._supervise(
                partial(_pump, writer, connection, frames), self._time_left(), self._leftovers
            )
            failed = ending.error is not None or bool(ending.cut)
            if failed:
                logger.error("The function failed.", exc_info=ending.error)
            if connection.connected and (writer.begun or not failed):
                if not writer.begun:
                    writer.begin()
                writer.end(failure=_failure_of(ending) if failed else None)
                await self._delivery.confirm(connection, ended=True)
                return
        finally:
            self._delivery.close(connection)
        await self._delivery.report(_failure_of(ending) if connection.connected else _UNSENT)

    # Both

    def _time_left(self) -> float:
        """Seconds the application has; short functions keep three quarters of their time."""
        left = self._invocation.deadline - self._setup.clock()
        return left - min(MARGIN, left / 4)


def _conclude(exchange: Exchange, ending: Ending) -> None:
    """Say in the log how it ended, and on the wire what the phase still allows."""
    if ending.cut == "deadline":
        logger.error("The application was stopped at the deadline.")
        exchange.fail(504, _DEADLINE)
    elif ending.cut == "shutdown":
        logger.warning("The application was stopped because the sandbox is shutting down.")
        exchange.fail(503, _SHUTDOWN)
    elif exchange.gone:
        logger.info("The caller went away before the response was complete.")
    elif ending.error is not None:
        logger.error("The application failed.", exc_info=ending.error)
        exchange.fail(500, _BROKEN)
    elif exchange.state != "complete":
        logger.error("The application returned without completing its response.")
        exchange.fail(500, _BROKEN)


async def _pump(
    writer: StreamWriter,
    connection: Connection,
    frames: Callable[[], AsyncGenerator[bytes]],
) -> None:
    async with aclosing(frames()) as found:
        async for frame in found:
            if connection.lost is not None or connection.answered:
                raise ConnectionResetError("The caller has gone; nobody reads this response.")
            if not writer.begun:
                writer.begin()
            if writer.add(frame):
                await writer.settle()


async def _joined(run: Callable[..., Any], payload: object, context: Context) -> bytes:
    async with aclosing(function.frames(run, payload, context)) as frames:
        return b"".join([frame async for frame in frames])


_BROKEN = wire.Failure(
    "Runtime.StreamError",
    "The application failed before its response was complete. The function's log says why.",
)
_UNSENT = wire.Failure(
    "Runtime.StreamError", "The connection for the answer was lost before its first byte."
)
_DEADLINE = wire.Failure(
    "Runtime.DeadlineReached", "The response was not complete before the deadline."
)
_SHUTDOWN = wire.Failure(
    "Runtime.Shutdown", "The sandbox was shut down before the response was complete."
)


def _failure_of(ending: Ending) -> wire.Failure:
    if ending.cut == "shutdown":
        return _SHUTDOWN
    if ending.error is None:
        return _DEADLINE
    if isinstance(ending.error, function.MarshalError):
        return wire.Failure("Runtime.MarshalError", str(ending.error))
    return failures.of_function(ending.error)


def _to_json(value: object) -> bytes:
    return json.dumps(value).encode()
