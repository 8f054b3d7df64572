"""The endpoint of a Web Function: its header rules, its limits, and the cut at its timeout.

What AWS documents is here as documented; what it does not is a choice that docs/web-functions.md
lists: `WebOptions`, and the statuses marked below.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from emulator.body import TooLargeError
from emulator.cloudformation import REGION
from emulator.faults import Fault
from emulator.fronts import FrontOptions, refuse_by_fault
from emulator.function import ThrottledError
from emulator.hosts import answers_to
from emulator.http1 import Reply, Request
from emulator.integration import HOP_BY_HOP
from emulator.stages import CutError, Stream, spoil, throttle
from emulator.web_environment import WebEnvironment
from emulator.web_function import InitError, WebFunction
from emulator.web_stream import Upstream, UpstreamError

# Not documented; the function URL's.
REQUEST_LIMIT = 6 * 1024 * 1024

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "DELETE"})
_REMOVED = HOP_BY_HOP | {
    "connection",
    "content-length",  # written anew, as the body is forwarded whole
    "expect",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
}
_NOT_RETURNED = frozenset(
    {"connection", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"}
)
_SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/")

_SETTLE_SECONDS = 0.3

Truncation = Literal["end", "reset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """What AWS does not document.

    `truncation`: whether a stream that is cut at the timeout ends as if it were whole, or its
    connection is reset. `tells_disconnect`: whether the application hears that its client left.
    """

    truncation: Truncation = "end"
    tells_disconnect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint. `handle` answers a request of its own; `carry` one that a gateway sends on."""

    function: WebFunction
    front_options: FrontOptions
    web: WebOptions = WebOptions()

    @property
    def domain(self) -> str:
        """The host that the application sees."""
        name = uuid.uuid5(uuid.NAMESPACE_URL, self.function.spec.name).hex
        return f"{name}.g1.lambda-web.{REGION}.on.aws"

    async def handle(self, asked: Request, reply: Reply) -> None:
        """Check one request as AWS does, then carry it."""
        if asked.version != "1.1":
            await _fail(reply, 505, "HTTP/1.1 only.")
        elif asked.method not in METHODS:
            await _fail(reply, 400, "This method is not supported.")
        elif not asked.header("host"):
            await _fail(reply, 400, "Host is missing.")
        elif asked.header("host") != self.domain and not answers_to(asked):
            await _fail(reply, 404, "No endpoint has this host.")
        elif asked.header("expect"):
            await _fail(reply, 417, "Expect is not supported.")
        elif self.function.spec.signed and not _SIGNATURE.match(asked.header("authorization")):
            await _fail(reply, 403, "Forbidden")
        else:
            await self.carry(reply, front="web")

    async def carry(
        self,
        reply: Reply,
        *,
        front: str,
        more: Sequence[tuple[str, str]] = (),
        removed: frozenset[str] = frozenset(),
    ) -> None:
        """Send one request to an environment and its response back. `more` are request headers."""
        request, spec = reply.request, self.function.spec
        faults = self.front_options.faults.take(front=front, function=spec.name, path=request.path)
        began, how, request_id = time.monotonic(), "", str(uuid.uuid4())
        ends = asyncio.get_running_loop().time() + spec.timeout
        try:
            if await refuse_by_fault(faults, reply):
                how = "refused"
                return
            self.function.check_rate()
            body = await request.body.read_all(REQUEST_LIMIT)  # whole, before anything is sent on
            head = [*self._headers(reply, request_id, removed), *more]
            async with asyncio.timeout_at(ends):
                environment = await self.function.acquire()
            upstream = Upstream(environment.port)
            try:
                async with asyncio.timeout_at(ends):
                    await upstream.send(request.method, request.target, head, body)
                    await self._answer(reply, upstream, environment, faults, request_id)
            except UpstreamError:
                # It may be dying: the next request must not meet it.
                await asyncio.wait((environment.exited,), timeout=_SETTLE_SECONDS)
                raise
            finally:
                # The application hears nothing of its client where AWS does not tell it.
                upstream.leave(
                    lambda: self.function.release(environment), told=self.web.tells_disconnect
                )
        except TooLargeError:
            await _fail(reply, 413, "The request is too large.")
        except ThrottledError as error:
            # The status is not documented.
            await _fail(reply, 429, "Rate exceeded.", f"Platform.{error.reason}", request_id)
        except InitError:
            await _fail(reply, 502, "It does not start.", "Application.InitCodeError", request_id)
        except TimeoutError:
            how = await self._time_out(reply, request_id)
        except (CutError, UpstreamError) as error:
            how = "cut"
            if not reply.status:
                await _fail(reply, 502, "It crashed.", "Application.Crash", request_id)
            else:
                await reply.cut(reset=isinstance(error, CutError) and error.reset)
        except ConnectionError:
            how = "the client left"
        finally:
            struck = f" [{', '.join(fault.kind for fault in faults)}]" if faults else ""
            line = f"{request.method} {request.path} {reply.status or '-'} {reply.sent} bytes"
            took = f"{time.monotonic() - began:.2f} s"
            self.front_options.log(spec.public, f"{line} {took} {front}{struck} {how}".rstrip())

    async def _answer(
        self,
        reply: Reply,
        upstream: Upstream,
        environment: WebEnvironment,
        faults: Sequence[Fault],
        request_id: str,
    ) -> None:
        status, headers = await upstream.read_head(reply.request.method)
        kept = [(n, v) for n, v in headers if n.lower() not in _NOT_RETURNED]
        kept.append(("lambda-web-request-id", request_id))
        lengths = [v for n, v in kept if n.lower() == "content-length"]
        kept = [pair for pair in kept if pair[0].lower() != "content-length"]
        stream: Stream = upstream.read()
        if self.front_options.throttled:
            stream = throttle(stream)
        async with aclosing(spoil(stream, faults, environment)) as body:
            await reply.start(status, kept, length=int(lengths[0]) if lengths else None)
            async for data in body:
                await reply.write(data)
            await reply.finish()

    async def _time_out(self, reply: Reply, request_id: str) -> str:
        if not reply.status:
            await _fail(reply, 504, "Timed out.", "Runtime.RequestTimeout", request_id)
        elif self.web.truncation == "end":
            await reply.finish()
        else:
            await reply.cut(reset=True)
        return f"timed out after {self.function.spec.timeout:g} s"

    def _headers(
        self, reply: Reply, request_id: str, removed: frozenset[str]
    ) -> list[tuple[str, str]]:
        request = reply.request
        named = {n.strip().lower() for n in request.header("connection").split(",")}
        gone = _REMOVED | named | removed | {"host", "x-forwarded-for"}
        if self.function.spec.signed:
            gone |= {"authorization"}
        kept = [
            (name, value)
            for name, value in request.headers
            if name.lower() not in gone and not name.lower().startswith("lambda-web-")
        ]
        before = request.header("x-forwarded-for")
        return [
            ("Host", self.domain),
            *kept,
            ("X-Forwarded-For", f"{before}, {request.client}" if before else request.client),
            ("lambda-web-request-id", request_id),
            ("lambda-web-endpoint-name", "prod"),
        ]


async def _fail(reply: Reply, status: int, text: str, kind: str = "", request_id: str = "") -> None:
    if reply.status:
        await reply.cut()
        return
    head = [("Content-Type", "application/json")]
    if kind:
        head.append(("lambda-web-error-type", kind))
    if request_id:
        head.append(("lambda-web-request-id", request_id))
    await reply.send(status, head, json.dumps({"message": text}).encode())
