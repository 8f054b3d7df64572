"""The cloud put together: functions from the template, fronts on their ports.

`open_cloud` is its whole lifetime; leaving it ends every process it started.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from emulator.admin import Admin
from emulator.cloudformation import EmulatorSetupError
from emulator.embedded_metrics import EmbeddedMetrics
from emulator.faults import Fault, Faults
from emulator.fronts import FrontOptions
from emulator.function import Function, Options
from emulator.function_url import function_url
from emulator.hosts import for_this_machine, is_loopback
from emulator.http_api import http_api
from emulator.invoke_api import invoke_api
from emulator.netlify import Netlify
from emulator.rest_api import rest_api
from emulator.sandbox import Log
from emulator.server import Handler, Server, listen
from emulator.site import Site, read_site
from emulator.template import Route, Template, read_template
from emulator.watch import changes
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
    """What to open. `port` 0 takes free ports everywhere; only the Netlify front uses `host`."""

    template: Path
    host: str = "127.0.0.1"
    port: int = NETLIFY_PORT
    options: Options = field(default_factory=Options)
    faults: Sequence[Fault] = ()
    throttled: bool = False
    watch: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    web: WebOptions = field(default_factory=WebOptions)


@dataclass(slots=True)
class Cloud:
    """A running cloud: its functions by name, its fronts' URLs, its faults, its remarks.

    `endpoints` has the Web Functions, each with its front.
    """

    template: Template
    site: Site
    faults: Faults
    functions: dict[str, Function]
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    metrics: EmbeddedMetrics = field(default_factory=EmbeddedMetrics)

    @property
    def processes(self) -> "dict[str, Function | WebFunction]":
        """Everything that has a process, by name."""
        return {**self.functions, **{n: e.function for n, e in self.endpoints.items()}}


@asynccontextmanager
async def open_cloud(plan: Plan, print_line: Log) -> AsyncIterator[Cloud]:
    """Start everything `plan` asks for.

    Raises `EmulatorSetupError` with one line for a person: a template that cannot be read, a
    port that is taken.
    """
    template = read_template(plan.template, plan.parameters)
    site_file = plan.template.parent / "netlify.toml"
    site = read_site(site_file)
    faults = Faults(plan.faults)
    metrics = EmbeddedMetrics()

    def log(name: str, line: str) -> None:
        metrics.read(line)
        print_line(name, line)

    functions = {
        spec.name: Function(spec, plan.options, faults, log) for spec in template.functions
    }
    front_options = FrontOptions(faults=faults, log=log, throttled=plan.throttled)
    endpoints = {
        spec.name: Endpoint(
            function=WebFunction(spec, plan.options, log), front_options=front_options, web=plan.web
        )
        for spec in template.web_functions
    }
    notes = [*template.notes, *site.notes]
    cloud = Cloud(template, site, faults, functions, endpoints, notes=notes, metrics=metrics)
    async with AsyncExitStack() as stack:
        for name, front, first in _fronts(cloud, front_options):
            handler = front
            host = plan.host if name == "netlify" else "127.0.0.1"
            if is_loopback(host) and not name.startswith("web "):  # it has a rule of its own
                handler = for_this_machine(handler)
            if name == "netlify":
                server = await _exactly(handler, host, plan.port)
            else:
                server = await _next_free(handler, host, first if plan.port else 0)
            stack.push_async_callback(server.close)
            shown = f"[{host}]" if ":" in host else host
            cloud.urls[name] = f"http://{shown}:{server.port}"
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(function.start()) for function in cloud.processes.values()]
            if plan.watch:
                running.append(tasks.create_task(_follow_changes(cloud, plan.template, log)))
            try:
                yield cloud
            finally:
                for task in running:
                    task.cancel()
                # Processes first: what a front still carries ends when its function does.
                await asyncio.gather(*(function.close() for function in cloud.processes.values()))


def _fronts(cloud: Cloud, front_options: FrontOptions) -> list[tuple[str, Handler, int]]:
    template, functions = cloud.template, cloud.functions
    gateway = (*template.http_routes, *template.rest_routes)
    front = Netlify(
        functions=functions,
        routes=_visible(gateway),
        site=lambda: cloud.site,
        front_options=front_options,
        endpoint=next(iter(cloud.endpoints.values()), None),
        metrics=cloud.metrics,
    )
    invoke = Admin(invoke_api(functions, front_options), cloud.processes, cloud.faults)
    fronts: list[tuple[str, Handler, int]] = [
        ("netlify", front.handle, NETLIFY_PORT),
        ("invoke", invoke.handle, INVOKE_PORT),
    ]
    if template.rest_routes:
        rest = rest_api(functions, template.rest_routes, template.rest_api, front_options)
        fronts.append(("rest", rest, REST_PORT))
    if template.http_routes:
        fronts.append(("http", http_api(functions, template.http_routes, front_options), HTTP_PORT))
    for name, function in functions.items():
        if function.spec.url:
            handler = function_url(function, function.spec.url, front_options)
            fronts.append((f"url {name}", handler, URL_PORT))
    for name, endpoint in cloud.endpoints.items():
        fronts.append((f"web {name}", endpoint.handle, WEB_PORT))
    return fronts


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


async def _next_free(handler: Handler, host: str, first: int) -> Server:
    for port in range(first, first + _ATTEMPTS):
        try:
            return await listen(handler, host, port)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise EmulatorSetupError(f"No port from {first} to {first + _ATTEMPTS - 1} is free.")


async def _follow_changes(cloud: Cloud, template: Path, log: Log) -> None:
    roots = [template.parent, *(f.spec.root for f in cloud.processes.values())]
    async for changed in changes(root.resolve() for root in roots):
        names = {path.name for path in changed if path.parent == template.parent.resolve()}
        if template.name in names:
            log("emulator", f"{template.name} changed: start the emulator again to use it.")
        if "netlify.toml" in names:
            try:
                cloud.site = read_site(template.parent / "netlify.toml")
                log("emulator", "netlify.toml was read again.")
            except EmulatorSetupError as error:
                log("emulator", str(error))
        if code := sorted(
            p.name for p in changed if p.suffix != ".toml" and p.name != template.name
        ):
            log("emulator", f"{', '.join(code[:3])} changed: restarting the functions.")
            await asyncio.gather(*(function.reload() for function in cloud.processes.values()))
