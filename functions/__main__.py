"""`python -m functions`: every function and the page on one local port, with uvicorn.

The same ASGI apps that are deployed, at both of their addresses. Only for this machine: it
binds to loopback unless HOST says otherwise.
"""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions._changes import FolderChanges
from functions._strict_http import StrictHttp, check_strictness
from functions.web import FOLDER, FunctionRoutes
from services.errors import RiverrunError, SetupError
from services.pauses import shorten_pauses
from services.settings import ROOT, Settings
from services.streaming import close_log, default_app, read_owner, shut_down, wait_closed
from services.streaming.http.hosts import KnownHosts, is_loopback
from services.streaming.http.page import PageFiles
from services.streaming.http.responses import error_response
from services.telemetry.lines import configure_logging

SITE = ROOT / "netlify" / "site"

# How long open requests may take to end once we were told to, in seconds.
GRACE = 2

# How long after that a client without an answer is told that it gets none, in seconds.
LAST_ANSWER = 1.0

# How long the log may take to be closed, in seconds.
LAST_LOG = 2.0

# How long the process may take to end once every request has, in seconds.
LAST_THREADS = 2.0


def main() -> int:
    """Serve until interrupted. Returns the exit status: 1 with one line when it cannot.

    With `--check`, only say whether it could.
    """
    configure_logging()
    try:
        settings = _open_parts()
        if "--check" in sys.argv[1:]:
            return 0
        listener = _listen(settings.host, settings.port)
    except RiverrunError as error:  # also of a log that is locked, or has no room
        print(error.message, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _greet(_address(listener))
    shorten_pauses()
    site = _Site()
    served: ASGIApp = (
        KnownHosts(site, settings.access.hosts) if is_loopback(settings.host) else site
    )
    config = uvicorn.Config(
        served,
        http=StrictHttp,
        log_level="warning",
        access_log=False,
        # Nothing of ours runs it, and a second Ctrl-C would show a traceback of it.
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config, site)
    # A terminal that is closed. Where `nohup` has it ignored, it is.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, server.handle_exit)
    # uvicorn ends in order, then raises the signal again; Ctrl-C is no error here.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    return 0


def _open_parts() -> Settings:
    # Opened before the first question, so that a fault of the installation is told at once.
    check_strictness()
    app = default_app()
    settings = app.settings
    guarded = not app.access.is_open or settings.gateway_secrets or settings.access.is_open
    if not guarded and not is_loopback(settings.host):
        raise SetupError(
            f"HOST={settings.host} serves a network, and every caller on it could spend your "
            "money: set RIVERRUN_API_KEYS first, or RIVERRUN_OPEN=on to let every caller in."
        )
    asyncio.run(app.prepare())
    return settings


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol, or asyncio leaves Nagle's algorithm on: 44 ms for a request on a connection
    # that was kept.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Now, not when uvicorn starts: of two servers starting at once, one is told here.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            other = port + 1 if port < 65535 else port - 1
            raise SetupError(
                f"Port {port} on {host} is taken. Try another: make dev PORT={other}"
            ) from error
        raise SetupError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}."
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("127.0.0.1", "0.0.0.0", "::1", "::"):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _greet(address: str) -> None:
    print(f"Riverrun is on {address}  (the page; Ctrl-C ends it)")
    print(f"  curl -N -X POST {address}/api/chat -H 'Content-Type: application/json' \\")
    print("""    -d '{"query": "What are the best attractions in Paris?", "streaming": true}'""")
    sys.stdout.flush()


class _Site:
    """The functions by path, and the page everywhere else.

    `reading` has the run of every response that is being sent, `waiting` the task of every
    request without a response.
    """

    def __init__(self) -> None:
        self.reading: list[str] = []
        self.waiting: set[asyncio.Task[None]] = set()
        files = PageFiles(
            directory=SITE, frame_origins=default_app().settings.frame_origins, html=True
        )
        self._page = Starlette(routes=[Mount("/", files)])
        self._functions = FunctionRoutes()
        self._changes = FolderChanges(Path(__file__).parent, FOLDER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._page(scope, receive, send)
            return
        run: str | None = None
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        self.waiting.add(task)

        async def send_and_track(message: Message) -> None:
            nonlocal run
            if message["type"] == "http.response.start":
                self.waiting.discard(task)
                run = Headers(raw=message["headers"]).get("x-run-id")
                if run is not None:
                    self.reading.append(run)
            await send(message)

        try:
            await self._find(scope)(scope, receive, send_and_track)
        except asyncio.CancelledError:
            # We are being ended. uvicorn would log a traceback for what it did itself.
            if task in self.waiting:
                await error_response(_ended_error())(scope, receive, send)
        finally:
            self.waiting.discard(task)
            if run is not None:
                self.reading.remove(run)

    def refuse(self) -> None:
        """Tell every client that has no answer yet that it will get none here."""
        for task in self.waiting:
            task.cancel()

    def _find(self, scope: Scope) -> ASGIApp:
        if scope["path"] == "/metrics" and default_app().settings.telemetry.metrics == "prometheus":
            return _metrics
        path = scope["path"]
        if is_call := path.startswith(("/api/", "/.netlify/", "/v1/")):
            self._changes.take(self._functions.apps)
        if (found := self._functions.find(scope)) is not None:
            return found
        return self._functions if is_call else self._page


class _Server(uvicorn.Server):
    """uvicorn, which would cut what is open; here a stream ends with its last event."""

    def __init__(self, config: uvicorn.Config, site: _Site) -> None:
        super().__init__(config)
        self._site = site

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end: also where the event loop is blocked, and would not hear of it."""
        super().handle_exit(sig, frame)
        _end_later(GRACE + GRACE + LAST_LOG + LAST_THREADS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open requests and what is being produced, then the server."""
        shut_down()
        asyncio.get_running_loop().call_later(LAST_ANSWER, self._site.refuse)
        await super().shutdown(sockets)
        await wait_closed(GRACE)
        # So that a copy of its file alone is a copy of all runs.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(close_log(), LAST_LOG)
        # asyncio waits for a task that swallows its cancellation, and for a thread that does not
        # return, for as long as they like.
        _end_later(LAST_THREADS)


async def _metrics(scope: Scope, receive: Receive, send: Send) -> None:
    """Give the counts of this process in Prometheus's words, to the holder of a key."""
    try:
        await read_owner(Request(scope))
    except RiverrunError as error:
        await error_response(error)(scope, receive, send)
        return
    app = default_app()
    app.reporter.metrics.set("runs_live", len(app.live.tasks))
    app.reporter.metrics.set("readers_live", app.live.streams)
    text = app.reporter.metrics.render()
    answer = PlainTextResponse(text, media_type="text/plain; version=0.0.4")
    await answer(scope, receive, send)


def _end_later(seconds: float) -> None:
    last = threading.Timer(seconds, _end_process)
    last.daemon = True
    last.start()


def _end_process() -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        sys.stdout.flush()
    os._exit(0)


def _ended_error() -> RiverrunError:
    return RiverrunError(
        "The service was ended before the answer was finished.", code="interrupted", retryable=True
    )


if __name__ == "__main__":
    sys.exit(main())
