"""Answer one invocation: which way it is carried, and what each failure means.

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
from .client import RuntimeApiConnection, RuntimeAPIError
from .connection import Connection
from .delivery import Delivery, RuntimeConfig
from .invocation import Context, Invocation
from .invocation_scope import InvocationScope
from .json_input import parse_json
from .results import MarshalError
from .writer import StreamWriter

logger = logging.getLogger(__name__)

DEADLINE_MARGIN = 1.2  # seconds before the deadline; the last byte leaves a full second before it


class Outcome(NamedTuple):
    """How the application's code ended: with a value, an error, or cut short."""

    value: object = None
    error: BaseException | None = None
    stopped_by: Literal["", "deadline", "shutdown"] = ""


Supervise = Callable[[Callable[[], Awaitable[object]], float, InvocationScope], Awaitable[Outcome]]


class InvocationHandler:
    """One invocation, from its payload to Lambda's verdict on the answer."""

    __slots__ = ("_config", "_delivery", "_invocation", "_invocation_scope", "_supervise")

    def __init__(
        self,
        config: RuntimeConfig,
        invocation: Invocation,
        api_connection: RuntimeApiConnection,
        supervise: Supervise,
        invocation_scope: InvocationScope,
    ) -> None:
        self._config = config
        self._invocation = invocation
        self._delivery = Delivery(config, invocation, api_connection)
        self._invocation_scope = invocation_scope
        self._supervise = supervise

    async def answer(self) -> None:
        """Answer it. Raises `OSError` or `ProtocolError` when the answer cannot be delivered."""
        try:
            payload = parse_json(self._invocation.payload)
        except ValueError as error:
            problem = f"Unable to unmarshal input: {error}"
            await self._delivery.report(wire.Failure("Runtime.UnmarshalError", problem))
            return
        context = Context(self._invocation, self._config.environ, self._config.clock)
        if self._config.application.kind == "asgi":
            await self._serve(payload, context)
        elif self._is_streaming and function.is_generator_function(self._config.application.run):
            await self._stream_frames(payload, context)
        else:
            await self._call(payload, context)

    @property
    def _is_streaming(self) -> bool:
        return self._config.environment.invoke_mode == "response_stream"

    # ASGI applications

    async def _serve(self, payload: Any, context: Context) -> None:
        try:
            shape, scope, body = payloads.read(payload)
        except payloads.PayloadError as error:
            from . import buffered

            logger.warning("The payload was refused: %s", error.message)
            await self._delivery.respond(_to_json(buffered.write_refusal(error)))
            return
        scope["aws.event"] = payload
        scope["aws.context"] = context
        scope["riverrun.deadline"] = self._invocation.deadline
        scope["state"] = dict(self._config.state)
        if self._is_streaming and payloads.may_stream(payload, shape):
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
            if connection.loss is None:
                await self._exchange(exchange)
            if writer.has_begun and connection.is_connected:
                await self._delivery.confirm(connection, ended=writer.has_ended)
                return
        finally:
            self._delivery.close(connection)
        await self._delivery.report(_UNSENT)

    async def _exchange(self, exchange: Exchange) -> None:
        """Run the application over one exchange, and complete what it left incomplete."""
        run = partial(self._config.application.run, exchange.scope, exchange.receive, exchange.send)
        if (left := self._time_left()) > 0:
            outcome = await self._supervise(run, left, self._invocation_scope)
        else:
            outcome = Outcome(stopped_by="deadline")
        _conclude(exchange, outcome)
        self._invocation_scope.context.run(failures.release_frames, outcome.error)

    # Handler functions

    async def _call(self, payload: object, context: Context) -> None:
        """As under the stock runtime the function has all its time: Lambda does the killing."""
        run = self._config.application.run
        left = self._invocation.deadline - self._config.clock()
        if function.is_generator_function(run):
            work: Callable[[], Awaitable[object]] = partial(_join_frames, run, payload, context)
        else:
            work = partial(function.call, run, payload, context, self._config.threads)
        outcome = await self._supervise(work, left, self._invocation_scope)
        if isinstance(outcome.value, tuple):
            await self._delivery.respond(*outcome.value)
            return
        if outcome.error is not None:
            logger.error("The function failed.", exc_info=outcome.error)
        await self._delivery.report(_to_failure(outcome))
        if self._config.threads.is_stuck:
            raise RuntimeAPIError(
                "The function still runs after its deadline. The process ends, as Lambda ends it."
            )

    async def _stream_frames(self, payload: object, context: Context) -> None:
        connection = await self._delivery.open()
        try:
            writer = StreamWriter(connection, self._delivery.head(wire.OCTETS))
            frames = partial(
                function.iterate_frames, self._config.application.run, payload, context
            )
            outcome = await self._supervise(
                partial(_send_frames, writer, connection, frames),
                self._time_left(),
                self._invocation_scope,
            )
            failed = outcome.error is not None or bool(outcome.stopped_by)
            if failed:
                logger.error("The function failed.", exc_info=outcome.error)
            if connection.is_connected and (writer.has_begun or not failed):
                if not writer.has_begun:
                    writer.begin()
                writer.end(failure=_to_failure(outcome) if failed else None)
                await self._delivery.confirm(connection, ended=True)
                return
        finally:
            self._delivery.close(connection)
        await self._delivery.report(_to_failure(outcome) if connection.is_connected else _UNSENT)

    # Both

    def _time_left(self) -> float:
        """Seconds the application has; short functions keep three quarters of their time."""
        left = self._invocation.deadline - self._config.clock()
        return left - min(DEADLINE_MARGIN, left / 4)


def _conclude(exchange: Exchange, outcome: Outcome) -> None:
    """Say in the log how it ended, and on the wire what the phase still allows."""
    if outcome.stopped_by == "deadline":
        logger.error("The application was stopped at the deadline.")
        exchange.fail(504, _DEADLINE)
    elif outcome.stopped_by == "shutdown":
        logger.warning("The application was stopped because the sandbox is shutting down.")
        exchange.fail(503, _SHUTDOWN)
    elif exchange.is_gone:
        logger.info("The caller went away before the response was complete.")
    elif outcome.error is not None:
        logger.error("The application failed.", exc_info=outcome.error)
        exchange.fail(500, _BROKEN)
    elif exchange.state != "complete":
        logger.error("The application returned without completing its response.")
        exchange.fail(500, _BROKEN)


async def _send_frames(
    writer: StreamWriter,
    connection: Connection,
    frames: Callable[[], AsyncGenerator[bytes]],
) -> None:
    async with aclosing(frames()) as found:
        async for frame in found:
            if connection.loss is not None or connection.has_reply:
                raise ConnectionResetError("The caller has gone; this response has no reader.")
            if not writer.has_begun:
                writer.begin()
            if writer.add(frame):
                await writer.drain()


async def _join_frames(
    run: Callable[..., Any], payload: object, context: Context
) -> tuple[bytes, str]:
    async with aclosing(function.iterate_frames(run, payload, context)) as frames:
        return b"".join([frame async for frame in frames]), wire.JSON


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


def _to_failure(outcome: Outcome) -> wire.Failure:
    if outcome.stopped_by == "shutdown":
        return _SHUTDOWN
    if outcome.error is None:
        return _DEADLINE
    if isinstance(outcome.error, SystemExit):  # here it ends no process that others share
        return wire.Failure("Runtime.ExitError", f"The function exits: {outcome.error.code}.")
    if isinstance(outcome.error, MarshalError):
        return wire.Failure("Runtime.MarshalError", str(outcome.error))
    return failures.describe_error(outcome.error)


def _to_json(value: object) -> bytes:
    return json.dumps(value).encode()
