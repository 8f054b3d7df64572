"""The front of a function URL, RESPONSE_STREAM or BUFFERED.

A signature is asked for where the template says AWS_IAM, and not verified. Knows nothing of
routes: every path is the function's.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from emulator.fronts import Front, FrontOptions, carry, read_body
from emulator.function import Function
from emulator.http1 import Handler, Reply, Request
from emulator.invocation import new_trace_id
from emulator.payloads import url_domain, version_2
from emulator.template import FunctionUrl

_SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/")


def function_url(function: Function, url: FunctionUrl, front_options: FrontOptions) -> Handler:
    """The handler of one function URL."""
    front = Front(name="function-url", streaming=url.invoke_mode == "RESPONSE_STREAM")
    api_id = uuid.uuid5(uuid.NAMESPACE_URL, function.arn).hex

    async def handle(request: Request, reply: Reply) -> None:
        shared = cors_headers(url.cors, request)
        if url.cors and is_preflight(request):
            await reply.send(200, shared)
            return
        access_key = ""
        if url.auth_type == "AWS_IAM":
            signature = _SIGNATURE.match(request.header("authorization"))
            if signature is None:
                head = [("Content-Type", "application/json"), *shared]
                await reply.send(403, head, b'{"Message":"Forbidden"}')
                return
            access_key = signature[1]
        body = await read_body(reply, message=b'{"message":"Request Entity Too Large"}')
        if body is None:
            return
        request_id, root = str(uuid.uuid4()), new_trace_id().partition(";")[0]
        payload = version_2(
            request,
            body,
            api_id=api_id,
            domain=url_domain(api_id),
            request_id=request_id,
            extra_headers={"x-amzn-trace-id": root},
            access_key=access_key,
        )
        head = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", root), *shared]
        # A URL's request is the invocation itself: one id for the log, the payload, the answer.
        await carry(
            front, front_options, function, payload, reply, headers=head, request_id=request_id
        )

    return handle


def is_preflight(request: Request) -> bool:
    """Whether a browser asks for permission rather than for an answer."""
    return request.method == "OPTIONS" and bool(
        request.header("origin") and request.header("access-control-request-method")
    )


def cors_headers(cors: Mapping[str, Any], request: Request) -> list[tuple[str, str]]:
    """What a `Cors` block adds to an answer; nothing for an origin it does not list."""
    origin = request.header("origin")
    origins = cors.get("AllowOrigins") or []
    if not origin or not ("*" in origins or origin in origins):
        return []
    credentials = str(cors.get("AllowCredentials", "")).lower() == "true"
    anyone = "*" in origins and not credentials
    head = [("Access-Control-Allow-Origin", "*" if anyone else origin), ("Vary", "Origin")]
    if credentials:
        head.append(("Access-Control-Allow-Credentials", "true"))
    if cors.get("ExposeHeaders"):
        head.append(("Access-Control-Expose-Headers", ",".join(cors["ExposeHeaders"])))
    if is_preflight(request):
        for name, key in (("Methods", "AllowMethods"), ("Headers", "AllowHeaders")):
            if cors.get(key):
                head.append((f"Access-Control-Allow-{name}", ",".join(cors[key])))
        if "MaxAge" in cors:
            head.append(("Access-Control-Max-Age", str(cors["MaxAge"])))
    return head
