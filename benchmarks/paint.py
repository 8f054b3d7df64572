"""When the page is first painted, in headless Chromium, beside an earlier state of it.

``python -m benchmarks.paint FOLDER...`` loads the page of each folder (`netlify/site` where none is
named) in turn, fifteen times each, every time with storage and cache of its own: from this machine,
and as over a mobile network of ten megabits with 40 ms to the server. Wants Chromium, so it is no
part of `make bench`; on a quiet machine its tables go into COMPARISONS.md.
"""

import statistics
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.table import Table
from services.settings import ROOT
from tests.browser import Browser, Page, find_chromium

LOADS = 15
NETWORKS = {
    "this machine": {},
    "40 ms, 10 Mbit/s": {
        "latency": 40,
        "downloadThroughput": 1_250_000,
        "uploadThroughput": 625_000,
    },
}
# What the browser noted of the paint.
FIGURES = """(async () => {
  const named = (name) => performance.getEntriesByName(name)[0]?.startTime;
  while (!named("first-contentful-paint")) {
    await new Promise((done) => setTimeout(done, 5));
  }
  return [
    named("first-paint"),
    named("first-contentful-paint"),
    performance.getEntriesByType("navigation")[0].loadEventEnd,
  ];
})()"""


class _Files(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a file waits 40 ms for its own head
    # The page's scripts are modules: without its type a browser refuses one.
    extensions_map = {  # noqa: RUF012 - the base class has an instance variable of that name
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
    }

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder, as plain as can be, for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def measure(browser: Browser, url: str, network: str) -> list[float]:
    """Load the page once as a new visitor: first paint, first content, loaded, in milliseconds."""
    with browser.page() as page:
        if NETWORKS[network]:
            page.call("Network.emulateNetworkConditions", offline=False, **NETWORKS[network])
        page.open(url)
        return _read_figures(page)


def _read_figures(page: Page) -> list[float]:
    figures: list[float] = page.evaluate(FIGURES)
    return figures


def tables(folders: Sequence[Path] = ()) -> Iterator[Table]:
    """Load each folder's page in turn, so that what the machine does meets all alike."""
    chosen = tuple(folders) or (ROOT / "netlify" / "site",)
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("Chromium is not on the PATH.")
    with ExitStack() as stack:
        browser = stack.enter_context(Browser(chromium))
        urls = [stack.enter_context(serve(folder)) for folder in chosen]
        for network in NETWORKS:
            measured: list[list[list[float]]] = [[] for _ in urls]
            for url in urls:
                measure(browser, url, network)  # the first one warms the browser itself
            for _ in range(LOADS):
                for at, url in enumerate(urls):
                    measured[at].append(measure(browser, url, network))
            yield Table(
                title=f"The page's first paint, {network}",
                note=f"Milliseconds, median (largest) of {LOADS} loads without a cache, in turn.",
                columns=("page", "first paint", "first content", "loaded"),
                rows=[
                    (str(folder), *(_describe(figures) for figures in zip(*loads, strict=True)))
                    for folder, loads in zip(chosen, measured, strict=True)
                ],
            )


def _describe(figures: Sequence[float]) -> str:
    return f"{statistics.median(figures):.0f} ({max(figures):.0f})"


if __name__ == "__main__":
    for table in tables([Path(argument).resolve() for argument in sys.argv[1:]]):
        print(table.markdown(), flush=True)
