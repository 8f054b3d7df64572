"""The HTTP face of a function: routes, methods, origins, limits and errors, as an ASGI app.

`http_app` is everything a function of functions/ needs around its endpoints. It knows the
contract's statuses (docs/contract.md, section 4) and nothing of runs or providers.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import RiverrunError
from ...settings import Settings
from ..app import default_app
from .body import RequestError
from .responses import STATUS_OF_CODE, error_response
from .url import check_url

Endpoint = Callable[[Request], Awaitable[Response]]

BASES = ("/api", "/.netlify/functions")

_ALLOWED_HEADERS = (
    "Accept, Authorization, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID, "
    "X-Requested-With, X-Amz-Content-Sha256"
)
_OURS = "Something went wrong on our side."
_EXPOSED_HEADERS = "X-Run-Id, X-Resumable-Stream-Id, Retry-After"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

# An origin as a browser writes it (Fetch standard, section 3.2), and a Host header: no user,
# no path, nothing that a URL parser could read in two ways.
_HOST = re.compile(r"(?P<name>[\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(rf"https?://(?P<host>{_HOST.pattern})", re.ASCII | re.IGNORECASE)


def http_app(
    routes: Mapping[str, Mapping[str, Endpoint]],
    settings: Settings | None = None,
    *,
    bases: Sequence[str] = BASES,
    dialect: str = "native",
) -> Starlette:
    """Return an ASGI app of `routes`: path (below each of `bases`) -> method -> endpoint.

    What an endpoint raises as `RiverrunError` becomes the contract's error object with its
    status, in the shape that the clients of `dialect` read; anything else is logged and becomes a
    plain 500. Without `settings` the process's own are read when the first request comes.
    """
    app = Starlette(
        routes=[
            _route(base + path, endpoints, dialect)
            for base in bases
            for path, endpoints in routes.items()
        ],
        exception_handlers={
            HTTPException: _answer_not_found,
            Exception: _answer_internal_error,
        },
        middleware=[
            Middleware(GatewayOnly, settings=settings),
            Middleware(Origins, settings=settings),
        ],
    )
    # The redirect would name the host that the request claims, and lose a POST on the way.
    app.router.redirect_slashes = False
    return app


def _route(path: str, endpoints: Mapping[str, Endpoint], dialect: str) -> Route:
    allow = {"Allow": ", ".join((*endpoints, "OPTIONS"))}

    async def dispatch(request: Request) -> Response:
        response = await answer(request)
        report_refusal(response)
        return response

    async def answer(request: Request) -> Response:
        try:
            check_url(request)
            if (endpoint := endpoints.get(request.method)) is not None:
                return await endpoint(request)
        except RiverrunError as error:
            return error_response(error, dialect=dialect)
        except ClientDisconnect:
            return Response(status_code=400)  # it left in the middle of its body
        except Exception as error:  # noqa: BLE001 - `error_response` logs it
            # Here, not in Starlette's outermost layer, so that a web page may read the answer.
            ours = RiverrunError(_OURS)
            ours.__cause__ = error
            return error_response(ours, dialect=dialect)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        refused = RequestError(f"Use {allow['Allow']} here.", code="method_not_allowed")
        return error_response(refused, dialect=dialect, headers=allow)

    route = Route(path, dispatch)
    route.methods = None  # every method comes here; HEAD must not quietly start a run
    return route


def report_refusal(response: Response) -> None:
    """Count a request that was not let in, or found no room."""
    code, scope = getattr(response, "refusal", ("", ""))
    if STATUS_OF_CODE.get(code) in (401, 403, 429, 503):
        default_app().reporter.refuse(code, scope)


async def _answer_not_found(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    return error_response(RequestError("There is nothing here.", code=code), headers=error.headers)


async def _answer_internal_error(_request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this response, so the host logs its traceback.
    return error_response(RiverrunError(_OURS))


class GatewayOnly:
    """Admit only what the gateway sends, where it shares a secret with the service.

    ASGI middleware. Several secrets are accepted so that the gateway's can be changed while both
    are running; a visitor's own credential is another matter, and another header.
    """

    def __init__(self, app: ASGIApp, settings: Settings | None = None) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "http" and not self._knows_secret(Request(scope)):
            refused = RequestError("This address is for its gateway only.", code="unauthorized")
            # The scheme tells the gateway that it is meant, not the visitor it speaks for.
            challenge = {"WWW-Authenticate": "Gateway"}
            response = error_response(refused, headers=challenge)
            report_refusal(response)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows_secret(self, request: Request) -> bool:
        secrets = (self._settings or default_app().settings).gateway_secrets
        if not secrets:
            return True
        given = request.headers.get("x-riverrun-gateway", "").encode("latin-1")
        # Every secret is compared, in constant time, so that the answer's time tells nothing.
        return sum(hmac.compare_digest(secret.encode(), given) for secret in secrets) > 0


class Origins:
    """Admit web pages of the same origin, and of the origins that were listed.

    ASGI middleware. A foreign origin is refused before anything runs, also where the browser
    would not have asked first; CORS headers (Fetch standard, section 3.3) are set here only.
    """

    def __init__(self, app: ASGIApp, settings: Settings | None = None) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, mark or refuse one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        origin = request.headers.get("origin")
        if not self._allows(origin, request):
            refused = RequestError(
                "This origin may not call here.",
                code="forbidden",
                hint="The operator of this service can add it to RIVERRUN_ALLOWED_ORIGINS.",
            )
            response = error_response(refused)
            report_refusal(response)
            await response(scope, receive, send)
        elif origin is None:
            await self._app(scope, receive, send)
        elif request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            await self._preflight(origin)(scope, receive, send)
        else:
            await self._app(scope, receive, _mark_response(send, origin))

    def _allows(self, origin: str | None, request: Request) -> bool:
        settings = self._settings or default_app().settings
        if "*" in settings.allowed_origins:
            return True
        if origin is None:
            # An image or a link on another site sends no Origin, and would start a run by GET.
            # Only browsers send this header (Fetch Metadata), and no page can change it.
            return request.headers.get("sec-fetch-site") != "cross-site"
        if origin in settings.allowed_origins:
            return True
        found = _ORIGIN.fullmatch(origin)
        if found is None:
            return False
        # A proxy in front may have changed Host. A page on another site can set X-Forwarded-Host
        # only after a preflight, which does not carry it and so is refused.
        host = request.headers.get("host", "").lower()
        forwarded = request.headers.get("x-forwarded-host", "").lower().split(",")
        if found["host"].lower() in (host, *map(str.strip, forwarded)):
            return True
        # Two ports of one laptop: a front end's own dev server may call this one.
        own = _HOST.fullmatch(host)
        return own is not None and {own["name"], found["name"].lower()} <= _LOOPBACK

    def _preflight(self, origin: str) -> Response:
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": "600",
                "Vary": "Accept, Origin",
            },
        )


def _mark_response(send: Send, origin: str) -> Send:
    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
            headers["Vary"] = "Accept, Origin"
        await send(message)

    return send_marked
