"""Every function's routes as one ASGI application, for a host that is a web server.

`make serve` and any ASGI server use it, and one deployed function for the dialects of other
ecosystems. A file of this folder with an `app` is served at once; nothing lists them.
"""

import pkgutil
from importlib import import_module

from starlette.applications import Starlette
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from services.lambda_runtime import export_handler
from services.streaming import http_app, shut_down

FOLDER = __name__.rpartition(".")[0]


def find_apps() -> dict[str, Starlette]:
    """The app of every module of this folder, by the modules' names."""
    names = [found.name for found in pkgutil.iter_modules(import_module(FOLDER).__path__)]
    modules = {name: import_module(f"{FOLDER}.{name}") for name in names if name[0] != "_"}
    found = {name: getattr(module, "app", None) for name, module in modules.items()}
    # This module's own is none: it is being made.
    return {name: app for name, app in found.items() if isinstance(app, Starlette)}


class FunctionRoutes:
    """The functions' apps as one: each request goes to the first that has a route for it.

    `apps` has them by their modules' names, which are their order.
    """

    def __init__(self) -> None:
        self.apps = find_apps()
        self._nothing_here = http_app({})

    def find(self, scope: Scope) -> ASGIApp | None:
        """The app that has a route for a request; None where none has."""
        for _, app in sorted(self.apps.items()):
            if any(route.matches(scope)[0] is not Match.NONE for route in app.routes):
                return app
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer that there is nothing here."""
        await (self.find(scope) or self._nothing_here)(scope, receive, send)


app = FunctionRoutes()
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
