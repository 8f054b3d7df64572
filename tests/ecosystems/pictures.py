"""The pictures of docs/openai.md, docs/ai-sdk.md and docs/ag-ui.md: each ecosystem at work.

    python -m tests.ecosystems.pictures [NAME ...]

Each page is built of the manual's own lines, asks the shipped documents in a real browser, and is
pictured when its answer is whole. Needs Chromium, the packages of this folder, esbuild of
clients/javascript, and for `open-webui` what tests/oracles/open_webui/install installs.
"""

import base64
import functools
import http.server
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.settings import ROOT
from tests.browser import NO_CHROMIUM, Browser, Page, find_chromium
from tests.ecosystems.node import read_snippet
from tests.functions.serving import run_server
from tests.oracles.open_webui.server import BIN, run_open_webui

HERE = Path(__file__).parent
PAGES = HERE / "pages"
ESBUILD = ROOT / "clients" / "javascript" / "node_modules" / ".bin" / "esbuild"
# What installs it, and where it is then.
NEEDS = {
    "npm ci --prefix clients/javascript": "clients/javascript/node_modules/.bin/esbuild",
    "npm ci --prefix tests/ecosystems": "tests/ecosystems/node_modules",
}
NEEDS_OF_OPEN_WEBUI = {"tests/oracles/open_webui/install": str(BIN)}
BUNDLE = (
    *("--bundle", "--format=esm", "--jsx=automatic", "--loader=jsx", "--log-level=error"),
    '--define:process.env.NODE_ENV="production"',
)
QUESTION = "What is there to see in Paris?"
SIZE = {"width": 960, "height": 440}
WHOLE_SIZE = {"width": 1100, "height": 700}
PATIENCE = 120.0

DOCUMENT = """<!doctype html><meta charset="utf-8"><title>asking</title>
<link rel="stylesheet" href="page.css"><script>window.question = {question}</script>
<main><header>{name}</header><section></section></main>
<script type="module" src="{page}.js"></script>
"""

# Whether a person can write into Open WebUI's field; what greets a first visit is clicked away.
CAN_ASK = """(() => {
  const field = document.querySelector("#chat-input");
  if (!field) return false;
  const { left, top, width, height } = field.getBoundingClientRect();
  const above = document.elementFromPoint(left + width / 2, top + height / 2);
  if (field.contains(above)) return true;
  const buttons = [...document.querySelectorAll("button")];
  buttons.find((button) => /Okay, Let.s Go/.test(button.innerText))?.click();
  return false;
})()"""

IS_ANSWERED = """(() => {
  const said = document.body.innerText;
  return /Answer written/.test(said) && /[0-9] Sources/.test(said) && !/logged in/.test(said);
})()"""

NAMES = {
    "ai-sdk": "useChat of @ai-sdk/react",
    "assistant-ui": "assistant-ui",
    "ag-ui": "HttpAgent of @ag-ui/client",
}
SNIPPETS = {"ai-sdk": ("ai-sdk.md", 0), "assistant-ui": ("ai-sdk.md", 2), "ag-ui": ("ag-ui.md", 0)}


def build_page(name: str, folder: Path, url: str) -> None:
    """Bundle one page with the manual's lines in it, for a product at `url`."""
    lines = read_snippet(*SNIPPETS[name]).splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    rest = "\n".join(line for line in lines if not line.startswith("import "))
    # The product is on another port here, and an agent is watched from before its run.
    rest = rest.replace("/api/ui/", f"{url}/api/ui/").replace("http://localhost:8888", url)
    rest = rest.replace("const { result }", "watch(agent);\nconst { result }")
    source = (PAGES / f"{name}.jsx").read_text(encoding="utf-8")
    source = source.replace("/* the manual's imports */", "\n".join(imports))
    source = source.replace("/* the manual's lines */", rest)
    made = f"--outfile={folder / name}.js"
    subprocess.run([str(ESBUILD), *BUNDLE, made], input=source, text=True, cwd=PAGES, check=True)
    head = DOCUMENT.format(question=json.dumps(QUESTION), name=NAMES[name], page=name)
    (folder / f"{name}.html").write_text(head, encoding="utf-8")
    (folder / "page.css").write_bytes((PAGES / "page.css").read_bytes())


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; the address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def take_picture(page: Page, name: str) -> None:
    """Write what is visible to docs/, small."""
    data = page.call("Page.captureScreenshot", format="webp", quality=80)["data"]
    picture = ROOT / "docs" / f"{name}.webp"
    picture.write_bytes(base64.b64decode(data))
    size = picture.stat().st_size // 1024
    sys.stdout.write(f"{picture.relative_to(ROOT)}: {size} KB\n")


def picture_page(browser: Browser, name: str, folder: Path, url: str) -> None:
    """Build one page, let it ask, and picture it with its whole answer."""
    build_page(name, folder, url)
    with serve_folder(folder) as address, browser.page(**SIZE) as page:
        page.open(f"{address}/{name}.html")
        page.wait_for("document.title === 'done'", patience=PATIENCE)
        take_picture(page, name)


def picture_open_webui(browser: Browser, folder: Path, url: str) -> None:
    """Start Open WebUI, ask it as a person does, and picture its answer."""
    with run_open_webui(url, folder) as address, browser.page(**WHOLE_SIZE) as page:
        page.open(address)
        try:
            page.wait_for(CAN_ASK, patience=PATIENCE)
        except AssertionError:
            take_picture(page, "open-webui")
            raise
        page.click("#chat-input")
        page.type(QUESTION)
        page.press("Enter")
        page.wait_for(IS_ANSWERED, patience=PATIENCE)
        take_picture(page, "open-webui")


def list_missing(names: Sequence[str], root: Path = ROOT) -> dict[str, str]:
    """List those that cannot be made here, each with the command that installs what it needs."""
    missing = {}
    for name in names:
        needed = NEEDS_OF_OPEN_WEBUI if name == "open-webui" else NEEDS
        lacking = [install for install, path in needed.items() if not (root / path).exists()]
        if lacking:
            missing[name] = " && ".join(lacking)
    return missing


def main(asked: list[str]) -> int:
    """Make the named pictures, or all of them; say of those that cannot be made what they need."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(NO_CHROMIUM)
    wanted = asked or [*NAMES, "open-webui"]
    missing = list_missing(wanted)
    if names := [name for name in wanted if name not in missing]:
        make_pictures(names, chromium)
    for name, install in missing.items():
        sys.stderr.write(
            f"{name}: what its picture needs is not installed. Install it: {install}\n"
        )
    return 1 if missing else 0


def make_pictures(names: Sequence[str], chromium: str) -> None:
    """Serve the product, and picture each of the named pages."""
    environ = {"PORT": "0", "RIVERRUN_LOG": "memory://", "RIVERRUN_ALLOWED_ORIGINS": "*"}
    with (
        tempfile.TemporaryDirectory() as made,
        Browser(chromium) as browser,
        run_server(environ) as server,
    ):
        for name in names:
            if name == "open-webui":
                picture_open_webui(browser, Path(made), server.url)
            else:
                picture_page(browser, name, Path(made), server.url)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
