"""Who is compared: how each runtime is started, and what is missing where it cannot be.

Peers that no requirements file installs are looked for in `.oracles`: `tests/oracles/install`
puts AWS's clients there, and the adapter where cargo is.
"""

import importlib.util
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.settings import ROOT

ORACLES = ROOT / ".oracles"
NODE_CLIENT = ORACLES / "node/node_modules/aws-lambda-ric/index.mjs"
NODE_INSTALLED = ORACLES / "node/.stamp"  # the client's native half is built last
STOCK = ORACLES / "python" / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
ADAPTER_PROGRAM = ORACLES / "cargo/bin/lambda-adapter"
APPS = ROOT / "benchmarks" / "apps"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """One row of the tables.

    `command` runs a Runtime API client with `environ`; with `direct` it is a server that
    listens itself, on `{port}`; with `entry` it is an application of a Web Function, whose server
    the emulator brings. `missing` says what is absent, "" for nothing. `limit` is how
    many events it can be asked for at once. `question` is the body of the POST that asks for
    them, None where a GET of the paths of `sources` does.
    """

    name: str
    command: Sequence[str] = ()
    entry: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    direct: bool = False
    missing: str = ""
    limit: int = 100_000
    question: bytes | None = None


def _ours(name: str, handler: str, question: bytes | None = None) -> Contender:
    command = (sys.executable, "-m", "services.lambda_runtime")
    return Contender(name=name, command=command, environ={"_HANDLER": handler}, question=question)


def _node(name: str, handler: str) -> Contender:
    missing = ""
    if shutil.which("node") is None:
        missing = "Node.js is not on the PATH"
    elif not NODE_INSTALLED.is_file():
        missing = "aws-lambda-ric is not in .oracles: run tests/oracles/install"
    return Contender(
        name=name,
        command=("node", str(NODE_CLIENT), handler),
        environ={"_HANDLER": handler, "LAMBDA_TASK_ROOT": str(APPS)},
        missing=missing,
    )


def _stock() -> Contender:
    default_app = importlib.util.find_spec("awslambdaric") is not None
    places = [str(ROOT), *([str(STOCK)] if STOCK.is_dir() else [])]
    absent = "awslambdaric is not in .oracles: run tests/oracles/install"
    return Contender(
        name="awslambdaric + Mangum + Starlette (buffered)",
        command=(sys.executable, "-m", "awslambdaric", "benchmarks.apps.web.handler"),
        environ={"_HANDLER": "benchmarks.apps.web.handler", "PYTHONPATH": ":".join(places)},
        missing="" if default_app or (STOCK / "awslambdaric").is_dir() else absent,
        limit=50_000,  # 6 MB is all a buffered answer may have
    )


def _adapter() -> Contender:
    kept = ADAPTER_PROGRAM.is_file()
    program = str(ADAPTER_PROGRAM) if kept else shutil.which("lambda-adapter")
    absent = "lambda-adapter is not in .oracles: run tests/oracles/install"
    server = shlex.join((sys.executable, *UVICORN_COMMAND, "benchmarks.apps.web:app"))
    return Contender(
        name="Lambda Web Adapter + uvicorn + Starlette",
        command=("sh", "-c", f"{server} & exec {shlex.quote(program or '')}"),
        environ={
            "AWS_LWA_PORT": "{port}",
            "AWS_LWA_INVOKE_MODE": "response_stream",
            "AWS_LWA_READINESS_CHECK_PATH": "/",
        },
        missing="" if program else absent,
    )


def _direct(name: str, app: str, question: bytes | None = None) -> Contender:
    command = (sys.executable, *UVICORN_COMMAND, app)
    return Contender(name=name, command=command, direct=True, question=question)


_IMPORT_AND_ASK = """
import asyncio, os, socket
import benchmarks.apps.web
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
with socket.create_connection((host, int(port))) as line:
    line.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\n")
    line.sendall(b"Host: localhost\\r\\n\\r\\n")
    line.recv(1)
"""
UVICORN_COMMAND = ("-m", "uvicorn", "--log-level", "warning", "--no-access-log", "--port", "{port}")
_QUESTION = b'{"query":"go","streaming":true}'

NODE = _node("Node, aws-lambda-ric 4, `pipeline()`", "index.piped")
BARE = _ours("Riverrun, bare ASGI", "benchmarks.apps.bare.app")
STARLETTE = _ours("Riverrun, Starlette", "benchmarks.apps.web.app")
FACADE = _ours("Riverrun, the whole facade", "benchmarks.peers.ours", question=_QUESTION)
WRITTEN = _node("Node, aws-lambda-ric 4, write and drain", "index.written")
MANGUM = _stock()
ADAPTER = _adapter()
UVICORN = _direct("uvicorn direct, Starlette", "benchmarks.apps.web:app")
SSE_STARLETTE = _direct(
    "uvicorn direct, sse-starlette", "benchmarks.peers:sse_starlette", _QUESTION
)
WEB = Contender(name="Web Function, Starlette", entry="benchmarks.apps.web:app")
WEB_FACADE = Contender(
    name="Web Function, the whole facade", entry="benchmarks.peers:ours", question=_QUESTION
)
CEILING = Contender(
    name="the emulator's own limit (64 KiB ready-made)",
    command=(sys.executable, "-m", "benchmarks.apps.ceiling"),
)

CHAT = replace(BARE, name="Riverrun, functions/chat.py", environ={"_HANDLER": "functions.chat.app"})
KEPT = replace(
    BARE,
    name="Riverrun, bare ASGI, RIVERRUN_KEEP_ALIVE=1",
    environ={**BARE.environ, "RIVERRUN_KEEP_ALIVE": "1"},
)
RELAY = Contender(
    name="two asyncio processes that only copy bytes",
    command=(sys.executable, "-m", "benchmarks.apps.relay", "--port", "{port}"),
    direct=True,
)
"""The least that a runtime and an emulator in Python take together."""
IMPORTS = Contender(
    name="asyncio and Starlette imported, nothing else",
    command=(sys.executable, "-c", _IMPORT_AND_ASK),
)
"""The least that the start of a Starlette application takes."""
LOOP = Contender(
    name="asyncio and ready-made bytes",
    command=(sys.executable, "-m", "benchmarks.apps.loop"),
)
LOOP_KEPT = replace(
    LOOP, name="asyncio and ready-made bytes, kept alive", environ={"RIVERRUN_KEEP_ALIVE": "1"}
)
"""The least that a Runtime API client on asyncio takes."""

ALL = (
    BARE, STARLETTE, FACADE, WEB, WEB_FACADE, NODE, WRITTEN, MANGUM, ADAPTER, UVICORN,
    SSE_STARLETTE, CEILING,
)  # fmt: skip


def present(contenders: Sequence[Contender]) -> list[Contender]:
    """Those that are here."""
    return [one for one in contenders if not one.missing]
