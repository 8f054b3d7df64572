"""Answer one invocation: which way it is carried, and what happens in which order.

How an answer is worded is in `wire`, how an application is talked to in `asgi` and `function`,
what a failure means in `outcome`.
"""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from . import failures, function, wire
from . import payload as payloads
from .answer import StreamedAnswer
from .asgi import Exchange, encode_phrase
from .client import RuntimeApiConnection, RuntimeAPIError
from .connection import Connection
from .delivery import Delivery, RuntimeConfig
from .forced_ending import TEXT, ForcedEnding, stream_whole
from .head import Head
from .invocation import Context, Invocation
from .invocation_scope import InvocationScope
from .json_input import parse_json
from .outcome import DEADLINE_FAILURE, UNSENT_FAILURE, Outcome, conclude, to_failure
from .writer import StreamWriter

logger = logging.getLogger(__name__)

DEADLINE_MARGIN = 1.2  # seconds before the deadline; the last byte leaves a full second before it


LEAST_SECONDS = 0.5
"""An invocation that comes with less than this is answered with the deadline's error at once,
and nothing is called: cold fronts, a retry at the last moment, a clock that is wrong."""
FUNCTION_RESERVE = 0.3  # seconds before the deadline in which a blocked function is ended


Supervise = Callable[
    [Callable[[], Awaitable[object]], float, InvocationScope, ForcedEnding | None],
    Awaitable[Outcome],
]


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
        except payloads.NotHttpError as error:
            await self._delivery.report(wire.Failure("Runtime.NotAnHttpRequest", error.message))
            return
        except payloads.PayloadError as error:
            await self._refuse(payload, error)
            return
        payloads.add_base_path(scope, self._config.environment.base_path)
        scope["aws.event"] = payload
        scope["aws.context"] = context
        scope["riverrun.deadline"] = self._invocation.deadline
        scope["state"] = dict(self._config.state)
        if self._is_streaming and payloads.may_stream(payload, shape):
            await self._stream(scope, body, multi_value=shape == "rest")
            return
        from . import buffered

        answer = buffered.BufferedAnswer()
        exchange = Exchange(scope, body, answer)

        def encode_timeout() -> bytes:
            late = buffered.write_response(payload, shape, Head(504, TEXT), encode_phrase(504))
            return self._delivery.whole(_to_json(late))

        await self._exchange(exchange, ForcedEnding(self._delivery, self._due(), encode_timeout))
        await self._delivery.respond(
            _to_json(buffered.write_response(payload, shape, *answer.result))
        )

    async def _refuse(self, payload: Any, error: payloads.PayloadError) -> None:
        """Answer 400 to an HTTP request that cannot be read, as its front reads answers."""
        from . import buffered

        logger.warning("The payload was refused: %s", error.message)
        refusal = buffered.write_refusal(error)
        shape = payloads.shape_of(payload)
        if self._is_streaming and shape and payloads.may_stream(payload, shape):
            head = Head(refusal["statusCode"], tuple(refusal["headers"].items()))
            body = refusal["body"].encode()
            await self._delivery.send(stream_whole(self._delivery, head, body))
        else:
            await self._delivery.respond(_to_json(refusal))

    async def _stream(self, scope: dict[str, Any], body: bytes, *, multi_value: bool) -> None:
        connection = await self._delivery.open()
        try:
            writer = StreamWriter(connection, self._delivery.head(wire.HTTP_INTEGRATION))
            exchange = Exchange(scope, body, StreamedAnswer(writer, multi_value=multi_value))
            connection.on_answer = exchange.disconnect
            forced_ending = ForcedEnding(
                self._delivery,
                self._due(),
                partial(
                    stream_whole,
                    self._delivery,
                    Head(504, TEXT),
                    b"" if scope["method"] == "HEAD" else encode_phrase(504),
                    DEADLINE_FAILURE,
                ),
                exchange=exchange,
                has_begun=lambda: writer.has_begun,
                finish=lambda: exchange.fail(504, DEADLINE_FAILURE),
            )
            if connection.loss is None:
                await self._exchange(exchange, forced_ending)
            if writer.has_begun and connection.is_connected:
                await self._delivery.confirm(connection, ended=writer.has_ended)
                return
        finally:
            self._delivery.close(connection)
        await self._delivery.report(UNSENT_FAILURE)

    async def _exchange(self, exchange: Exchange, forced_ending: ForcedEnding) -> None:
        """Run the application over one exchange, and complete what it left incomplete."""
        run = partial(self._config.application.run, exchange.scope, exchange.receive, exchange.send)
        outcome = await self._supervise(
            run, self._time_left(), self._invocation_scope, forced_ending
        )
        conclude(exchange, outcome)
        self._invocation_scope.context.run(failures.release_frames, outcome.error)

    # Handler functions

    async def _call(self, payload: object, context: Context) -> None:
        """As under the stock runtime the function has all its time: Lambda does the killing."""
        run = self._config.application.run
        left = self._invocation.deadline - self._config.clock()
        if left < LEAST_SECONDS:
            left = 0.0
        if function.is_generator_function(run):
            work: Callable[[], Awaitable[object]] = partial(_join_frames, run, payload, context)
        else:
            work = partial(function.call, run, payload, context, self._config.threads)
        due = self._invocation.deadline - FUNCTION_RESERVE
        forced_ending = ForcedEnding(
            self._delivery, due, partial(self._delivery.error, DEADLINE_FAILURE)
        )
        outcome = await self._supervise(work, left, self._invocation_scope, forced_ending)
        if isinstance(outcome.value, tuple):
            await self._delivery.respond(*outcome.value)
            return
        if outcome.error is not None:
            logger.error("The function failed.", exc_info=outcome.error)
        await self._delivery.report(to_failure(outcome))
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
            forced_ending = ForcedEnding(
                self._delivery,
                self._due(),
                partial(self._delivery.error, DEADLINE_FAILURE),
                has_begun=lambda: writer.has_begun,
                finish=partial(writer.end, failure=DEADLINE_FAILURE),
            )
            outcome = await self._supervise(
                partial(_send_frames, writer, connection, frames),
                self._time_left(),
                self._invocation_scope,
                forced_ending,
            )
            failed = outcome.error is not None or bool(outcome.stopped_by)
            if failed:
                logger.error("The function failed.", exc_info=outcome.error)
            if connection.is_connected and (writer.has_begun or not failed):
                if not writer.has_begun:
                    writer.begin()
                if not writer.has_ended:
                    writer.end(failure=to_failure(outcome) if failed else None)
                await self._delivery.confirm(connection, ended=True)
                return
        finally:
            self._delivery.close(connection)
        await self._delivery.report(
            to_failure(outcome) if connection.is_connected else UNSENT_FAILURE
        )

    # Both

    def _time_left(self) -> float:
        """Seconds the application has; short functions keep three quarters of their time.

        Nothing where no answer could be given in what is left: it would be cut in its beginning.
        """
        left = self._invocation.deadline - self._config.clock()
        return 0.0 if left < LEAST_SECONDS else left - min(DEADLINE_MARGIN, left / 4)

    def _due(self) -> float:
        """When the watchdog looks: the loop has had a good part of the margin for its own end."""
        left = self._invocation.deadline - self._config.clock()
        return self._invocation.deadline - 0.85 * min(DEADLINE_MARGIN, max(left, 0.0) / 4)


async def _send_frames(
    writer: StreamWriter,
    connection: Connection,
    frames: Callable[[], AsyncGenerator[bytes]],
) -> None:
    async with aclosing(frames()) as found:
        async for frame in found:
            if connection.loss is not None or connection.has_reply or writer.has_ended:
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


def _to_json(value: object) -> bytes:
    return json.dumps(value).encode()
