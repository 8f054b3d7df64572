"""A cloud brought to what its template says: at the start, and again when the template changes.

As an update of a stack does it: what the template says as before is not touched, a changed function
takes new invocations in a new process, and a removed one finishes what it has begun.
"""

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.admin import Admin
from emulator.cloudformation import EmulatorSetupError
from emulator.embedded_metrics import EmbeddedMetrics
from emulator.faults import Fault, Faults
from emulator.fronts import FrontOptions
from emulator.function import Function, Options
from emulator.function_url import function_url
from emulator.http1 import Handler
from emulator.http_api import http_api
from emulator.invoke_api import invoke_api
from emulator.netlify import Netlify
from emulator.rest_api import rest_api
from emulator.sandbox import Log
from emulator.server import Server, listen
from emulator.site import Site
from emulator.template import Route, Template
from emulator.web_front import Endpoint, WebOptions
from emulator.web_function import WebFunction

NETLIFY_PORT, REST_PORT, INVOKE_PORT, HTTP_PORT, URL_PORT, WEB_PORT = (
    8888,
    3000,
    3001,
    3002,
    3010,
    3020,
)
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to open. `port` 0 takes free ports everywhere; only the Netlify front uses `host`.

    `in_turn` starts the processes one by one, for a person who asks the first at once.
    """

    template: Path
    host: str = "127.0.0.1"
    port: int = NETLIFY_PORT
    options: Options = field(default_factory=Options)
    faults: Sequence[Fault] = ()
    throttled: bool = False
    watch: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    web: WebOptions = field(default_factory=WebOptions)
    in_turn: bool = False


@dataclass(slots=True, kw_only=True)
class Cloud:
    """A running cloud: its functions by name, its fronts' URLs, its faults, its remarks.

    `endpoints` has the Web Functions, each with its front; `removed` what the template no longer
    has and may still be answering.
    """

    plan: Plan
    template: Template
    site: Site
    faults: Faults
    log: Log
    metrics: EmbeddedMetrics
    functions: dict[str, Function] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    removed: list[Function | WebFunction] = field(default_factory=list)
    servers: dict[str, Server] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def processes(self) -> dict[str, Function | WebFunction]:
        """Everything that has a process, by name."""
        return {**self.functions, **{n: e.function for n, e in self.endpoints.items()}}

    def list_addresses(self, name: str) -> list[str]:
        """Where the Netlify front has a function: its API's paths, or the two of every function."""
        public = self.functions[name].spec.public
        paths = [route.path for route in self.template.rest_routes if route.function == name]
        both = (f"/.netlify/functions/{public}", f"/api/{public}")
        return [self.urls["netlify"] + path for path in paths or both]


@dataclass(frozen=True, slots=True)
class Update:
    """What a template changed, by the functions' names."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    has_new_routes: bool

    def __str__(self) -> str:
        named = (("added", self.added), ("changed", self.changed), ("removed", self.removed))
        said = [f"{', '.join(names)} {verb}" for verb, names in named if names]
        if self.has_new_routes:
            said.append("its paths are the new ones")
        return "; ".join(said) or "no function changed"


async def deploy(cloud: Cloud, template: Template) -> Update:
    """Bring functions and fronts to what `template` says; starting processes is the caller's.

    Raises `EmulatorSetupError` for a port that is taken.
    """
    before, options, log = cloud.processes, cloud.plan.options, cloud.log
    front_options = FrontOptions(faults=cloud.faults, log=log, throttled=cloud.plan.throttled)
    cloud.functions = {
        spec.name: cloud.functions.get(spec.name) or Function(spec, options, cloud.faults, log)
        for spec in template.functions
    }
    cloud.endpoints = {
        spec.name: cloud.endpoints.get(spec.name)
        or Endpoint(
            function=WebFunction(spec, options, log),
            front_options=front_options,
            web=cloud.plan.web,
        )
        for spec in template.web_functions
    }
    now = cloud.processes
    kept = {name for name, process in now.items() if before.get(name) is process}
    changed = _adopt_specs(cloud, template)
    cloud.removed += (process for name, process in before.items() if name not in kept)
    routes = cloud.template.rest_routes, cloud.template.http_routes
    cloud.template = template
    await _open_fronts(cloud, front_options)
    return Update(
        added=tuple(name for name in now if name not in before),
        changed=tuple(name for name in now if name in before and name in changed),
        removed=tuple(name for name in before if name not in now),
        has_new_routes=routes != (template.rest_routes, template.http_routes),
    )


def _adopt_specs(cloud: Cloud, template: Template) -> set[str]:
    """Give every function what the template says of it now; name those it says otherwise of."""
    changed: set[str] = set()
    for spec in template.functions:
        function = cloud.functions[spec.name]
        if function.spec != spec:
            changed.add(spec.name)
            function.spec = spec
    for web_spec in template.web_functions:
        web = cloud.endpoints[web_spec.name].function
        if web.spec != web_spec:
            changed.add(web_spec.name)
            web.spec = web_spec
    return changed


async def _open_fronts(cloud: Cloud, front_options: FrontOptions) -> None:
    """Let every front answer by the template; open those that are new, close those that are gone.

    A front that stays keeps its port and its connections.
    """
    wanted = {name: (handler, first) for name, handler, first in _fronts(cloud, front_options)}
    for name in cloud.servers.keys() - wanted.keys():
        del cloud.urls[name]
        await cloud.servers.pop(name).close()
    for name, (front, first) in wanted.items():
        host = cloud.plan.host if name == "netlify" else "127.0.0.1"
        if name in cloud.servers:
            cloud.servers[name].handler = front
            continue
        if name == "netlify":
            server = await _exactly(front, host, cloud.plan.port)
        else:
            server = await _next_free(name, front, first if cloud.plan.port else 0)
        cloud.servers[name] = server
        shown = f"[{host}]" if ":" in host else host
        cloud.urls[name] = f"http://{shown}:{server.port}"


def _fronts(cloud: Cloud, front_options: FrontOptions) -> Iterator[tuple[str, Handler, int]]:
    template, functions = cloud.template, cloud.functions
    netlify = Netlify(
        functions=functions,
        routes=_visible((*template.http_routes, *template.rest_routes)),
        site=lambda: cloud.site,
        front_options=front_options,
        endpoint=next(iter(cloud.endpoints.values()), None),
        metrics=cloud.metrics,
    )
    yield "netlify", netlify.handle, NETLIFY_PORT
    invoke = Admin(invoke_api(functions, front_options), cloud.processes, cloud.faults)
    yield "invoke", invoke.handle, INVOKE_PORT
    if template.rest_routes:
        rest = rest_api(functions, template.rest_routes, template.rest_api, front_options)
        yield "rest", rest, REST_PORT
    if template.http_routes:
        yield "http", http_api(functions, template.http_routes, front_options), HTTP_PORT
    for name, function in functions.items():
        if function.spec.url:
            yield f"url {name}", function_url(function, function.spec.url, front_options), URL_PORT
    for name, endpoint in cloud.endpoints.items():
        yield f"web {name}", endpoint.handle, WEB_PORT


def _visible(routes: Sequence[Route]) -> tuple[Route, ...]:
    """The API's paths that the Netlify front serves too; a catch-all would hide the site."""
    return tuple(r for r in routes if r.path not in ("$default", "/", "/{proxy+}"))


async def _exactly(handler: Handler, host: str, port: int) -> Server:
    try:
        return await listen(handler, host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = port + 1 if port < 65535 else port - 1
            message = f"Port {port} is taken. Stop what uses it, or choose another: PORT={other}."
        else:
            message = f"Cannot listen on {host}:{port}: {error.strerror or error}."
        raise EmulatorSetupError(message) from error


async def _next_free(name: str, handler: Handler, first: int) -> Server:
    # A Web Function's front has a rule of its own: AWS's name for it is one of its names.
    judges_host = name.startswith("web ")
    for port in range(first, first + _ATTEMPTS):
        try:
            return await listen(handler, port=port, judges_host=judges_host)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise EmulatorSetupError(f"No port from {first} to {first + _ATTEMPTS - 1} is free.")
