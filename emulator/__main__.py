"""`python -m emulator`: read template.yaml and netlify.toml, serve, say what is served."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from emulator import dashboard
from emulator.cloud import open_cloud
from emulator.cloudformation import EmulatorSetupError
from emulator.deployment import NETLIFY_PORT, Cloud, Plan
from emulator.faults import read_faults
from emulator.function import Options
from emulator.log_lines import format_line
from emulator.web_front import WebOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM. Returns the exit status: 1 when it could not start."""
    try:
        plan = _plan(_parser().parse_args(arguments))
        asyncio.run(_serve(plan))
    except EmulatorSetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emulator",
        description="A cloud on localhost: Netlify's URLs, function URLs, API Gateway, Invoke.",
    )
    add = parser.add_argument
    add("--port", help="of the Netlify front (PORT, else 8888; 0: any)")
    add("--host", help="of the Netlify front (HOST, else 127.0.0.1)")
    add("--template", type=Path, default=Path("template.yaml"), help="the SAM template")
    add("--on-demand", action="store_true", help="one invocation per sandbox, frozen in between")
    add("--concurrency", type=int, default=256, help="invocations at once in one process")
    add("--no-watch", action="store_true", help="do not restart functions when a file changes")
    add("--throttle", action="store_true", help="6 MB at once, then 2 MB/s, as Lambda streams")
    add("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the template")
    add(
        "--web-truncation",
        choices=("end", "reset"),
        default="end",
        help="how a Web Function's stream is cut at its timeout",
    )
    add("--web-tells-disconnect", action="store_true", help="a Web Function hears who left")
    add("--faults", type=Path, metavar="FILE", help="faults to start with, as JSON")
    return parser


def _plan(chosen: argparse.Namespace) -> Plan:
    port = chosen.port or os.environ.get("PORT") or str(NETLIFY_PORT)
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise EmulatorSetupError(f"{port!r} is not a port: a whole number from 0 to 65535.")
    if not 1 <= chosen.concurrency <= 1600:
        raise EmulatorSetupError("--concurrency is a whole number from 1 to 1600.")
    parameters = dict(text.partition("=")[::2] for text in chosen.parameter)
    return Plan(
        parameters=parameters,
        web=WebOptions(
            truncation=chosen.web_truncation, tells_disconnect=chosen.web_tells_disconnect
        ),
        template=chosen.template,
        host=chosen.host or os.environ.get("HOST") or "127.0.0.1",
        port=int(port),
        options=Options(concurrency=None if chosen.on_demand else chosen.concurrency),
        faults=read_faults(chosen.faults) if chosen.faults else (),
        throttled=chosen.throttle,
        watch=not chosen.no_watch,
        in_turn=True,
    )


async def _serve(plan: Plan) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    width = 8

    root = plan.template.resolve().parent
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def log(name: str, line: str) -> None:
        for shown in format_line(line, root, coloured=coloured):
            print(f"{name:<{width}} | {shown}", flush=True)

    async with open_cloud(plan, log) as cloud:
        width = max(8, *(len(f.spec.public) for f in cloud.processes.values()))
        print("\n".join(table(cloud)), flush=True)
        await stop.wait()
        print("Stopping.", flush=True)


def table(cloud: Cloud) -> list[str]:
    """What the cloud serves, for a person to read."""
    base = cloud.urls["netlify"]
    lines = ["", f"  Riverrun is on {base}", ""]
    for name, function in cloud.functions.items():
        mode = f"{function.concurrency} at once" if function.concurrency else "on demand"
        public = function.spec.public
        own = "   ".join(cloud.list_addresses(name))
        lines.append(f"  {public:<10} {own}   ({mode})")
        kind = function.spec.url
        if kind is not None:
            url = cloud.urls[f"url {name}"]
            lines.append(f"  {'':<10} {url}   function URL, {kind.invoke_mode}, {kind.auth_type}")
    for name, endpoint in cloud.endpoints.items():
        spec, url = endpoint.function.spec, cloud.urls[f"web {name}"]
        auth = "IamAuth" if spec.signed else "ApplicationManaged"
        lines.append(f"  {spec.public:<10} {base}/.netlify/functions/chat   {base}/api/chat")
        lines.append(
            f"  {'':<10} {url}   Web Function, {auth}, {spec.concurrency} at once, "
            f"{spec.timeout:g} s a request"
        )
    for route in (*cloud.template.rest_routes, *cloud.template.http_routes):
        kind_of = "REST API" if route.api == "rest" else "HTTP API"
        mode = "STREAM" if route.streaming else "BUFFERED"
        where = f"{cloud.urls[route.api]}{route.path}"
        public = cloud.functions[route.function].spec.public
        lines.append(f"  {public:<10} {where}   {kind_of}, {route.method}, {mode}")
    invoke = cloud.urls["invoke"]
    lines += [
        "",
        f"  Invoke API {invoke}   (boto3: endpoint_url)",
        f"  Faults     {invoke}/emulator/faults",
        f"  Dashboard  {base}{dashboard.DASHBOARD}",
    ]
    # What the person set needs no note, and what several functions lack is said once.
    lines += [
        f"  Note: {note}"
        for note in dict.fromkeys(cloud.notes)
        if note.partition(" ")[0] not in os.environ
    ]
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
