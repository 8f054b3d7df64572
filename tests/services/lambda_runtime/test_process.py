"""The whole process, as Lambda starts it: `bootstrap`, environment, signals, exit statuses."""

import asyncio
import json
import os
import signal
import stat
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.services.lambda_runtime.harness import http
from tests.services.lambda_runtime.runtime_api import RuntimeAPI, Step, invocation, runtime_api

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
HELLO = """
    import asyncio, os
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/wait":
            await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": b"hello"})
"""


class Sandbox:
    """A process of the runtime and the API it was pointed at."""

    def __init__(self, api: RuntimeAPI, process: asyncio.subprocess.Process) -> None:
        self.api = api
        self.process = process

    async def wait_end(self) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        async with asyncio.timeout(60):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    async def invoke(self, payload: Any, **options: Any) -> Any:
        """Deliver one payload and wait for its answer."""
        number = sum(call.method == "POST" for call in self.api.calls)
        self.api.waiting.put_nowait(invocation(payload, **options))
        await self.api.until(lambda: sum(c.method == "POST" for c in self.api.calls) > number)
        call = [call for call in self.api.calls if call.method == "POST"][number]
        await self.api.until(lambda: call.complete)
        return call


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Start]:
    """Start a sandbox whose task root holds `source` as rr_app.py."""
    async with AsyncExitStack() as stack:

        async def begin(
            source: str = HELLO,
            handler: str = "rr_app.app",
            command: list[str] | None = None,
            script: Callable[[RuntimeAPI], None] | None = None,
            **environ: str,
        ) -> Sandbox:
            (tmp_path / "rr_app.py").write_text(textwrap.dedent(source))
            api = await stack.enter_async_context(runtime_api())
            if script is not None:
                script(api)
            inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
            process = await asyncio.create_subprocess_exec(
                *(command or [sys.executable, "-m", "services.lambda_runtime"]),
                env={
                    **inherited,
                    "AWS_LAMBDA_RUNTIME_API": api.host,
                    "_HANDLER": handler,
                    "LAMBDA_TASK_ROOT": str(tmp_path),
                    **environ,
                },
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            stack.push_async_callback(kill_process, process)
            return Sandbox(api, process)

        yield begin


async def kill_process(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def quick() -> AsyncGenerator[None]:
    async with asyncio.timeout(60):
        yield


async def test_it_answers_and_leaves_quietly_when_told(start: Start) -> None:
    """SIGTERM while idle: exit status 0, nothing on the log."""
    box = await start()
    assert (await box.invoke(http())).content == b"hello"
    assert (await box.invoke(http())).content == b"hello"
    await box.api.wait_polls(3)
    box.process.send_signal(signal.SIGTERM)
    assert await box.wait_end() == (0, "", "")


async def test_a_stream_that_is_told_to_stop_ends_with_trailers(start: Start) -> None:
    """SIGTERM in the middle: the caller can tell, and the exit status is still 0."""
    box = await start()
    box.api.waiting.put_nowait(invocation(http("/wait")))
    call = await box.api.call("/response", complete=False)
    await box.api.until(lambda: call.content == b"begun ")
    box.process.send_signal(signal.SIGTERM)
    status, out, _ = await box.wait_end()
    assert call.complete
    assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.Shutdown"
    assert status == 0
    assert "shutting down" in out


async def test_a_freeze_is_not_noticed(start: Start) -> None:
    """Stopped and continued between invocations, with both of its connections cut meanwhile."""
    box = await start()
    assert (await box.invoke(http())).content == b"hello"
    await box.api.wait_polls(2)
    await box.api.until(lambda: box.api.open_connections == 2)
    box.process.send_signal(signal.SIGSTOP)
    box.api.writers[-1].transport.abort()  # the one that was opened ahead
    box.api.waiting.put_nowait(Step(reset=True))
    await box.api.until(lambda: box.api.open_connections == 0)
    box.process.send_signal(signal.SIGCONT)
    assert (await box.invoke(http())).content == b"hello"


@pytest.mark.parametrize(
    ("source", "handler", "kind"),
    [
        (HELLO, "rr_app", "Runtime.MalformedHandlerName"),
        (HELLO, "rr_app.other", "Runtime.HandlerNotFound"),
        (HELLO, "rr_none.app", "Runtime.ImportModuleError"),
        ("import rr_none", "rr_app.app", "Runtime.ImportModuleError"),
        ("def (", "rr_app.app", "Runtime.UserCodeSyntaxError"),
        ("raise ZeroDivisionError('x')", "rr_app.app", "Runtime.ZeroDivisionError"),
        ("raise SystemExit(0)", "rr_app.app", "Runtime.SystemExit"),
    ],
)
async def test_a_failed_import_is_an_init_error(
    start: Start, source: str, handler: str, kind: str
) -> None:
    """Told once, with Lambda's type; exit status 1, and no invocation is asked for."""
    box = await start(source, handler)
    status, out, _ = await box.wait_end()
    assert status == 1
    assert [call.path for call in box.api.calls] == ["/2018-06-01/runtime/init/error"]
    call = box.api.calls[0]
    assert call.header("Lambda-Runtime-Function-Error-Type") == kind
    assert call.json["errorMessage"]
    assert call.header("Lambda-Runtime-Invocation-Id") is None
    assert kind in out


async def test_a_failed_startup_is_an_init_error(start: Start) -> None:
    """The lifespan is part of the start."""
    box = await start("""
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})
    """)
    status, _, _ = await box.wait_end()
    assert status == 1
    call = box.api.calls[0]
    assert call.path.endswith("/init/error")
    assert call.header("Lambda-Runtime-Function-Error-Type") == "Runtime.StartupFailed"
    assert "no database" in call.json["errorMessage"]


@pytest.mark.parametrize("answer", [Step(status=403), Step(reset=True)])
async def test_an_init_error_that_is_refused_changes_nothing(start: Start, answer: Step) -> None:
    """On Managed Instances another process may have been first."""
    box = await start("raise ValueError", script=lambda api: api.script("/init/error", answer))
    status, _, _ = await box.wait_end()
    assert status == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RIVERRUN_INVOKE_MODE", "sometimes"),
        ("RIVERRUN_KEEP_ALIVE", "yes"),
        ("RIVERRUN_BASE_PATH", "/a?b"),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "many"),
    ],
)
async def test_an_unknown_setting_is_an_init_error_that_names_it(
    start: Start, name: str, value: str
) -> None:
    """With the known values, on standard error and to Lambda."""
    box = await start(**{name: value})
    status, _, err = await box.wait_end()
    assert status == 1
    assert name in err
    assert name in box.api.calls[0].json["errorMessage"]


async def test_outside_lambda_it_says_what_to_do_instead(start: Start) -> None:
    """One line, no traceback."""
    box = await start(AWS_LAMBDA_RUNTIME_API="")
    status, out, err = await box.wait_end()
    assert status == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "AWS_LAMBDA_RUNTIME_API" in err


async def test_a_runtime_api_that_is_gone_ends_the_process(start: Start) -> None:
    """After five tries, with exit status 1."""
    box = await start(script=lambda api: [api.waiting.put_nowait(Step(status=500)) for _ in "x"])
    status, out, _ = await box.wait_end()
    assert status == 1
    assert "500" in out


def wrapper(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(body)}")
    path.chmod(0o755)
    return str(path)


async def test_bootstrap_replaces_the_stock_runtime(start: Start, tmp_path: Path) -> None:
    """Called as Lambda calls a wrapper: interpreter, then the stock runtime, which is left out."""
    stock = tmp_path / "stock.py"
    stock.write_text("raise SystemExit('the stock runtime ran')")
    (tmp_path / "services").symlink_to(ROOT / "services")
    command = [str(ROOT / "bootstrap"), sys.executable, str(stock)]
    box = await start(command=command, PYTHONPATH="")
    assert (await box.invoke(http())).content == b"hello"


async def test_bootstrap_finds_an_interpreter_of_its_own(start: Start, tmp_path: Path) -> None:
    """On provided.al2023 it is given none."""
    (tmp_path / "python" / "bin").mkdir(parents=True)
    wrapper(tmp_path / "python" / "bin" / "python3", f'exec {sys.executable} "$@"\n')
    (tmp_path / "services").symlink_to(ROOT / "services")
    box = await start(command=[str(ROOT / "bootstrap")], PYTHONPATH="")
    assert (await box.invoke(http())).content == b"hello"


async def test_bootstrap_can_be_chained(start: Start, tmp_path: Path) -> None:
    """Another tool's wrapper runs what it is given, and its environment arrives."""
    following = wrapper(tmp_path / "next", 'FROM_NEXT="$1" exec "$@"\n')
    command = [str(ROOT / "bootstrap"), sys.executable, "/var/runtime/bootstrap.py"]
    box = await start(
        "import os\ndef app(event, context): return [os.environ['FROM_NEXT'], "
        "os.environ.get('RIVERRUN_EXEC_WRAPPER_NEXT')]",
        command=command,
        RIVERRUN_EXEC_WRAPPER_NEXT=following,
    )
    assert (await box.invoke({})).json == [sys.executable, None]


def test_bootstrap_can_be_executed() -> None:
    """Mode 0755 and unix line ends, or Lambda says that it cannot be executed."""
    assert stat.S_IMODE((ROOT / "bootstrap").stat().st_mode) == 0o755
    assert b"\r" not in (ROOT / "bootstrap").read_bytes()


async def test_the_functions_own_code_comes_first_on_the_path(start: Start, tmp_path: Path) -> None:
    """And .pth files in it count, as under the stock runtime."""
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "rr_extra.py").write_text("WORD = 'extra'\n")
    (tmp_path / "vendor.pth").write_text("extra\n")
    box = await start("""
        import sys, rr_extra
        def app(event, context): return [sys.path[0], rr_extra.WORD]
    """)
    assert (await box.invoke({})).json == [str(tmp_path), "extra"]


LOGGING = """
    import logging
    logger = logging.getLogger("mine")
    def app(event, context):
        logger.warning("a\\nb %s", event, extra={"order": 7})
        logger.info("quiet")
        try:
            raise ValueError("no\\ngood")
        except ValueError:
            logger.exception("broken")
"""


async def test_logs_are_text_lines_by_default(start: Start) -> None:
    """Level, time, request id and message; a line break in a value begins no line."""
    box = await start(LOGGING)
    await box.invoke({"x": 1}, request_id="the-id")
    await box.api.wait_polls(2)
    box.process.send_signal(signal.SIGTERM)
    _, out, _ = await box.wait_end()
    first, second = (
        out.splitlines(keepends=False) if "\r" not in out else out.strip("\n").split("\n")
    )
    level, stamp, request_id, message = first.split("\t")
    assert (level, request_id, message) == ("[WARNING]", "the-id", "a\\nb {'x': 1}")
    assert stamp.endswith("Z")
    assert second.startswith("[ERROR]\t")
    assert "\rValueError: no\rgood" in second


async def test_logs_are_json_when_asked(start: Start) -> None:
    """The stock runtime's keys, and what `extra` added."""
    box = await start(LOGGING, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="WARN")
    await box.invoke({}, request_id="the-id", more=[("Lambda-Runtime-Aws-Tenant-Id", "blue")])
    await box.api.wait_polls(2)
    box.process.send_signal(signal.SIGTERM)
    _, out, _ = await box.wait_end()
    warning, error = [json.loads(line) for line in out.splitlines()]
    assert warning["message"] == "a\nb {}"
    assert (warning["level"], warning["logger"], warning["requestId"]) == (
        "WARNING",
        "mine",
        "the-id",
    )
    assert (warning["order"], warning["tenantId"]) == (7, "blue")
    assert error["errorType"] == "ValueError"
    assert error["errorMessage"] == "no\ngood"
    assert any("raise ValueError" in line for line in error["stackTrace"])
    assert error["location"].endswith(":app:10")


SNAP = """
    import random
    import snapshot_restore_py as snap
    said = []
    snap.register("before", said.append, "before-1")
    snap.register("before", said.append, "before-2")
    snap.register("after", said.append, "after-1")
    snap.register("after", said.append, "after-2")
    random.seed(7)
    FIRST = random.Random(7).random()
    def app(event, context):
        return {"said": said, "reseeded": random.random() != FIRST}
"""
SNAP_HOOKS = """
    hooks = {"before": [], "after": []}
    def register(which, function, *arguments, **options):
        hooks[which].append((function, arguments, options))
    def get_before_snapshot(): return hooks["before"]
    def get_after_restore(): return hooks["after"]
"""


async def test_a_snapshot_is_taken_between_the_hooks(start: Start, tmp_path: Path) -> None:
    """Before in reverse order, the restore, after in order; new sockets, new randomness."""
    (tmp_path / "snapshot_restore_py.py").write_text(textwrap.dedent(SNAP_HOOKS))
    held = asyncio.Event()
    restore = Step(status=200, body=b"", hold=held)
    box = await start(
        SNAP,
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
        script=lambda api: api.script("/restore/next", restore),
    )
    await box.api.call("/restore/next")
    assert len(box.api.calls) == 1
    held.set()
    assert (await box.invoke({})).json == {
        "said": ["before-2", "before-1", "after-1", "after-2"],
        "reseeded": True,
    }
    asked = [call for call in box.api.calls if call.method == "GET"]
    assert asked[0].connection != asked[1].connection


@pytest.mark.parametrize(
    ("when", "path", "kind", "code"),
    [
        ("before", "/init/error", "Runtime.BeforeSnapshotError", 64),
        ("after", "/restore/error", "Runtime.AfterRestoreError", 65),
    ],
)
async def test_a_failed_hook_is_told_in_its_phase(
    start: Start, tmp_path: Path, *, when: str, path: str, kind: str, code: int
) -> None:
    """With the exit statuses of the stock runtime."""
    (tmp_path / "snapshot_restore_py.py").write_text(textwrap.dedent(SNAP_HOOKS))
    box = await start(
        f"""
        import snapshot_restore_py as snap
        def fail(): raise ValueError("no")
        snap.register({when!r}, fail)
        def app(event, context): return 1
        """,
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
        script=lambda api: api.script("/restore/next", Step(status=200, body=b"")),
    )
    status, _, _ = await box.wait_end()
    assert status == code
    call = next(call for call in box.api.calls if call.path.endswith(path))
    assert call.header("Lambda-Runtime-Function-Error-Type") == kind


async def test_telemetry_frames_go_to_lambdas_descriptor(start: Start, tmp_path: Path) -> None:
    """Type, length, time, message: how the stock runtime writes where it is given a descriptor."""
    import struct

    path = tmp_path / "frames"
    open_it = wrapper(tmp_path / "open", f'exec 3>{path}\nexec "$@"\n')
    command = [open_it, sys.executable, "-m", "services.lambda_runtime"]
    box = await start(LOGGING, command=command, _LAMBDA_TELEMETRY_LOG_FD="3")
    await box.invoke({})
    data = path.read_bytes()
    kind, length, stamp = struct.unpack(">IIQ", data[:16])
    assert kind == 0xA55A0013
    assert stamp > 1_700_000_000_000_000
    assert data[16 : 16 + length].startswith(b"[WARNING]\t")
    assert struct.unpack(">I", data[16 + length : 20 + length]) == (0xA55A0017,)
