"""The REST API of API Gateway, with responses streamed where the template asks for it.

Served without the stage, as on a custom domain, and below `/{stage}` as on the default one.
"""

import uuid
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from urllib.parse import unquote

from emulator.fronts import Front, FrontOptions, carry, read_body
from emulator.function import Function
from emulator.http1 import Handler, Reply, Request
from emulator.integration import REST_REMAPPED
from emulator.invocation import new_trace_id
from emulator.payloads import version_1
from emulator.routes import find_route, has_parameters
from emulator.template import RestApi, Route

# "Idle timeout 5 min Regional/private, 30 s edge-optimized; stream at most 15 min."
REGIONAL_IDLE, EDGE_IDLE = 300.0, 30.0
STREAM_TOTAL, BUFFERED_TOTAL = 900.0, 29.0
_ERROR = b'{"message": "Internal server error"}'


def rest_api(
    functions: Mapping[str, Function],
    routes: Sequence[Route],
    api: RestApi,
    front_options: FrontOptions,
    *,
    idle: float | None = None,
) -> Handler:
    """The handler of the REST API. `idle` replaces the idle cut of its endpoint type."""
    silence = idle if idle is not None else EDGE_IDLE if api.edge else REGIONAL_IDLE

    async def handle(request: Request, reply: Reply) -> None:
        path = request.path
        prefix = f"/{api.stage}"
        found = find_route(routes, request.method, path)
        inner = path.removeprefix(prefix) or "/"
        staged = path == prefix or path.startswith(prefix + "/")
        below = find_route(routes, request.method, inner) if staged else None
        if below and (found is None or has_parameters(found[0])):  # a catch-all hides the stage
            found, path = below, inner
        request_id = str(uuid.uuid4())
        head = [
            ("x-amzn-RequestId", request_id),
            ("x-amz-apigw-id", uuid.uuid4().hex[:16]),
            ("X-Amzn-Trace-Id", new_trace_id().partition(";")[0]),
        ]
        if found is None:
            head = [("Content-Type", "application/json"), *head]
            await reply.send(403, head, b'{"message":"Missing Authentication Token"}')
            return
        body = await read_body(reply, message=b'{"message":"Request Too Long"}')
        if body is None:
            return
        route, parameters = found
        payload = version_1(
            request,
            body,
            path=unquote(path),
            resource=route.path,
            stage=api.stage,
            domain=request.header("host"),
            request_id=request_id,
            path_parameters=parameters,
            binary=_is_binary(api, request),
        )
        front = _front(route, silence)
        await carry(front, front_options, functions[route.function], payload, reply, headers=head)

    return handle


def _front(route: Route, silence: float) -> Front:
    if route.streaming:
        return Front(
            name="rest-api",
            streaming=True,
            strict=True,
            remapped=REST_REMAPPED,
            malformed=(500, _ERROR),
            idle=silence,
            total=route.timeout or STREAM_TOTAL,
        )
    return Front(
        name="rest-api",
        streaming=False,
        version="1.0",
        remapped=REST_REMAPPED,
        malformed=(502, _ERROR),
        total=route.timeout or BUFFERED_TOTAL,
    )


def _is_binary(api: RestApi, request: Request) -> bool:
    kind = request.header("content-type").partition(";")[0].strip().lower()
    return any(fnmatchcase(kind or "application/json", pattern) for pattern in api.binary_types)
