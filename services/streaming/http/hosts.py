"""Which names a server on this machine answers to.

A page of a stranger can have its own name lead to 127.0.0.1 (DNS rebinding), and its browser then
takes this server for the page's own: it asks and reads. The name stands in `Host`, and no page can
change that header.
"""

import ipaddress
import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .body import RequestError
from .responses import error_response

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?", re.IGNORECASE)


class KnownHosts:
    """Serve a request whose `Host` is localhost, an IP address or one of `names`; refuse others.

    ASGI middleware, for a server that listens on the loopback interface alone.
    """

    def __init__(self, app: ASGIApp, names: tuple[str, ...] = ()) -> None:
        self._app = app
        self._names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "http":
            hosts = Request(scope).headers.getlist("host")
            # HTTP/1.0 has no Host, and no browser speaks it.
            if len(hosts) > 1 or (hosts and not self._knows(hosts[0])):
                refused = RequestError(
                    "This server does not answer to that name.",
                    code="forbidden",
                    hint="RIVERRUN_ALLOWED_HOSTS can list it.",
                )
                await error_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].lower().rstrip(".")
        return name == "localhost" or name in self._names or is_address(name)


def is_address(name: str) -> bool:
    """Tell whether a name in a URL is an IP address: no one can have it lead elsewhere."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a listener on `host`."""
    name = host.strip("[]").lower()
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)
