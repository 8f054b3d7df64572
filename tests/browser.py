"""A real browser in a test's hands: headless Chromium over the DevTools protocol.

The protocol runs through `--remote-debugging-pipe` (JSON messages that end in NUL, on file
descriptors 3 and 4), so there is no port, no WebSocket and nothing to install. This module knows
how to open a page, touch it like a person and look at it; it knows nothing about what it shows.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

PATIENCE = 60.0
"""Seconds any single thing may take before a test is told that it never happened."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # /dev/shm is tiny in containers
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    # Each new context is a whole window, whose address bar loads two pages for its suggestions,
    # and a process stands ready for the next page: three quarters of what a page costs.
    (
        "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,PreloadTopChromeWebUI"
        ",SpareRendererForSitePerProcess"
    ),
    # Nothing but this machine has a name, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)

NO_CHROMIUM = "Chromium is not on the PATH. Install it, on Debian with: apt-get install chromium"

# Chromium wants its pipe on descriptors 3 and 4; this moves ours there and becomes Chromium.
_HANDOVER = """
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.closerange(5, 256)
os.execv(sys.argv[3], sys.argv[3:])
"""

KEYS: Mapping[str, tuple[str, int, str]] = {
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    "Space": (" ", 32, " "),
}
MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}


# What Chromium says of a script whose page is another before it has ended.
GONE_ON = (
    "Inspected target navigated or closed",
    "Execution context was destroyed",
    "Cannot find context with specified id",
    "Cannot find default execution context",
)


class BrowserError(AssertionError):
    """The page did not do what the test asked of it, in the time it had."""


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome, or `None`."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """A Chromium process, from `with` to the end of the block.

    `flags` come after our own, so that they win. Thread-safe enough for one test at a time: one
    thread writes, one reads.
    """

    def __init__(self, executable: str, *, flags: Sequence[str] = ()) -> None:
        self._executable = executable
        self._flags = (*FLAGS, *flags)
        self._answers: dict[int, dict[str, Any]] = {}
        self._pages: dict[str, Page] = {}
        self._news = threading.Condition()
        self._calls = 0
        self._gone = False

    def __enter__(self) -> Self:
        self._profile = tempfile.mkdtemp(prefix="riverrun-browser-")
        to_browser, from_us = os.pipe()
        to_us, from_browser = os.pipe()
        command = (
            *(sys.executable, "-c", _HANDOVER, str(to_browser), str(from_browser)),
            *(self._executable, *self._flags, f"--user-data-dir={self._profile}", "about:blank"),
        )
        self._log = (Path(self._profile) / "stderr.log").open("wb")
        self._process = subprocess.Popen(
            command,
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,  # its renderers are stopped with it, and no others
        )
        os.close(to_browser)
        os.close(from_browser)
        self._out: BinaryIO = os.fdopen(from_us, "wb", buffering=0)
        self._in: BinaryIO = os.fdopen(to_us, "rb", buffering=0)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.call("Browser.getVersion")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrowserError, subprocess.TimeoutExpired):  # it is made to leave below
            self.call("Browser.close", patience=2)
            self._process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self._out, self._in, self._log):
            stream.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    @contextmanager
    def page(self, *, width: int = 1280, height: int = 900) -> "Iterator[Page]":
        """A new page with storage of its own (as a private window has), closed afterwards."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            yield self._tab(context, width, height)
        finally:
            self.call("Target.disposeBrowserContext", {"browserContextId": context})

    def _tab(self, context: str, width: int, height: int) -> "Page":
        asked = {"url": "about:blank", "browserContextId": context}
        target = self.call("Target.createTarget", asked)["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = Page(self, session["sessionId"], context, target)
        self._pages[page.session] = page
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        return page

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        session: str | None = None,
        patience: float = PATIENCE,
    ) -> Any:
        """Call a DevTools method and return its result.

        Raises `BrowserError` when it fails, when the browser is gone, or after `patience` seconds.
        """
        with self._news:
            self._calls += 1
            number = self._calls
        message: dict[str, Any] = {"id": number, "method": method, "params": dict(params or {})}
        if session:
            message["sessionId"] = session
        try:
            self._out.write(json.dumps(message).encode() + b"\0")
        except OSError as error:
            raise BrowserError(f"{method}: the browser is gone\n{self._last_words()}") from error
        with self._news:
            self._news.wait_for(lambda: number in self._answers or self._gone, patience)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise BrowserError(f"{method}: no answer\n{self._last_words()}")
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def _read(self) -> None:
        kept = b""
        while chunk := self._in.read(1 << 16):
            *messages, kept = (kept + chunk).split(b"\0")
            for message in messages:
                self._take(json.loads(message))
        with self._news:
            self._gone = True
            self._news.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        with self._news:
            if "id" in message:
                self._answers[message["id"]] = message
            elif page := self._pages.get(message.get("sessionId", "")):
                page.note_event(message["method"], message["params"])
            self._news.notify_all()

    def _last_words(self) -> str:
        return (Path(self._profile) / "stderr.log").read_text(errors="replace")[-2000:]


@dataclass(slots=True)
class Page:
    """One tab. `requests` are the URLs it asked for, `complaints` its errors and warnings."""

    browser: Browser
    session: str
    context: str
    target: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def call(self, method: str, **params: Any) -> Any:
        """Call a DevTools method on this tab."""
        return self.browser.call(method, params, session=self.session)

    def second(self, *, width: int = 1280, height: int = 900) -> "Page":
        """Another tab of the same person: it shares storage, locks and channels with this one."""
        return self.browser._tab(self.context, width, height)

    def close(self) -> None:
        """Close the tab."""
        self.browser.call("Target.closeTarget", {"targetId": self.target})

    def open(self, url: str) -> None:
        """Go to `url` and wait until it has loaded, with its scripts."""
        failure = self.call("Page.navigate", url=url).get("errorText")
        if failure:
            raise BrowserError(f"{url}: {failure}")
        self.wait_for(
            f"document.readyState === 'complete' && location.href !== {json.dumps(url)}.x"
        )

    def evaluate(self, script: str) -> Any:
        """The JSON value of a JavaScript expression; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            problem = answer["exceptionDetails"]
            text = problem.get("exception", {}).get("description", problem["text"])
            raise BrowserError(f"{script}: {text}")
        return answer["result"].get("value")

    def wait_for(self, condition: str, *, patience: float = PATIENCE) -> Any:
        """Wait until a JavaScript expression is truthy, and return its value.

        An element has no JSON form and comes back as `True`.
        """
        script = f"""(async () => {{
          const value = await ({condition});
          return value ? {{value: value instanceof Node ? true : value}} : null;
        }})()"""
        deadline = time.monotonic() + patience
        while (met := self._evaluate_or_leave(script)) is None:
            if time.monotonic() > deadline:
                shown = self.evaluate("document.body.innerText")
                raise BrowserError(f"never happened: {condition}\n--- the page says:\n{shown}")
            time.sleep(0.02)
        return met["value"]

    def _evaluate_or_leave(self, script: str) -> Any:
        """As `evaluate`; None where the page has gone on to another while it was asked."""
        try:
            return self.evaluate(script)
        except BrowserError as error:
            if any(said in str(error) for said in GONE_ON):
                return None
            raise

    def leave(self, script: str) -> None:
        """Run what leads to another page: soon, for its answer would be lost with this one."""
        self.evaluate(f"setTimeout(() => {script}) && null")

    def text(self, selector: str) -> str:
        """The text a person sees in the first element that matches; none when it is hidden."""
        element = f"document.querySelector({json.dumps(selector)})"
        text: str = self.evaluate(f"{element}.checkVisibility() ? {element}.innerText : ''")
        return text

    def click(self, selector: str, *, times: int = 1) -> None:
        """Press the left button in the middle of the first element that matches."""
        self.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")
        x, y, on_top = self.evaluate(
            f"""(() => {{
              const wanted = document.querySelector({json.dumps(selector)});
              wanted.scrollIntoView({{block: "center", behavior: "instant"}});
              const box = wanted.getBoundingClientRect();
              const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
              const top = document.elementFromPoint(x, y);
              return [x, y, top !== null && (wanted.contains(top) || top.contains(wanted))];
            }})()"""
        )
        if not on_top:
            raise BrowserError(f"{selector} cannot be clicked: something lies over it")
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.call(
                    "Input.dispatchMouseEvent",
                    type=kind,
                    x=x,
                    y=y,
                    button="left",
                    clickCount=count,
                )

    def type(self, text: str) -> None:
        """Write into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *modifiers: str) -> None:
        """Press and release a key of `KEYS`, holding `modifiers` (Shift, Control, Alt, Meta)."""
        name, code, text = KEYS[key]
        held = sum(MODIFIERS[modifier] for modifier in modifiers)
        common = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": held}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Make the window `width` by `height` CSS pixels; a phone also has a touch screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def prefer(self, **features: str) -> None:
        """Set what the system prefers, as in ``prefer(color_scheme="dark")``."""
        wanted = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", features=wanted)

    def go_offline(self, offline: bool = True) -> None:
        """Take the network away from this tab, or give it back."""
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", offline=offline, **speed)

    def screenshot(self, path: Path) -> None:
        """Write what is visible as a PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def accessibility(self) -> list[tuple[str, str]]:
        """What a screen reader is offered, in order: (role, name) of each node that has a role."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored") and "role" in node
        ]

    def note_event(self, method: str, params: Mapping[str, Any]) -> None:
        """Take note of an event of the DevTools protocol."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", "exception"))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            said = (str(arg.get("value", arg.get("description"))) for arg in params["args"])
            self.complaints.append(" ".join(said))
