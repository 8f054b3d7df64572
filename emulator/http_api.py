"""The HTTP API of API Gateway: payload format 2.0, always buffered, thirty seconds at most."""

import uuid
from collections.abc import Mapping, Sequence

from emulator.fronts import Front, FrontOptions, carry, read_body
from emulator.function import Function
from emulator.http1 import Handler, Reply, Request
from emulator.payloads import version_2
from emulator.routes import find_route
from emulator.template import Route

TOTAL = 30.0


def http_api(
    functions: Mapping[str, Function], routes: Sequence[Route], front_options: FrontOptions
) -> Handler:
    """The handler of the HTTP API."""

    async def handle(request: Request, reply: Reply) -> None:
        found = find_route(routes, request.method, request.path)
        if found is None:
            head = [("Content-Type", "application/json")]
            await reply.send(404, head, b'{"message":"Not Found"}')
            return
        body = await read_body(reply, message=b'{"message":"Request Entity Too Large"}')
        if body is None:
            return
        route, parameters = found
        default = route.path == "$default"
        request_id = uuid.uuid4().hex[:16]
        payload = version_2(
            request,
            body,
            api_id="local",
            domain=request.header("host"),
            request_id=request_id,
            route_key="$default" if default else f"{route.method} {route.path}",
            path_parameters=parameters,
            url=False,
        )
        front = Front(
            name="http-api",
            streaming=False,
            malformed=(500, b'{"message":"Internal Server Error"}'),
            late=(503, b'{"message":"Service Unavailable"}'),
            total=min(route.timeout or TOTAL, TOTAL),
        )
        head = [("Apigw-Requestid", request_id)]
        await carry(front, front_options, functions[route.function], payload, reply, headers=head)

    return handle
