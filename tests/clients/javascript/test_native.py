"""The corpus in a browser's own `EventSource`: what the standard's authors make of it.

Each vector is an address that serves its bytes, whole, byte by byte, or cut in two. A browser
shows the events; the last id shows in the `Last-Event-ID` with which it comes back, which is
answered with 204.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser import Browser

pytestmark = pytest.mark.browser

CORPUS = Path(__file__).parents[2] / "corpus" / "event_stream.json"
VECTORS: list[dict[str, Any]] = json.loads(CORPUS.read_text(encoding="utf-8"))

# It hears no event after a byte order mark that a line end follows at once.
CHROMIUM_DIFFERS = {"a byte order mark in pieces before a blank line"}
"""Where Chromium departs from the standard; a test fails when it mends."""

# Six at a time, as many as a browser opens to one place; each ends with readyState 2.
HEAR = """
async (jobs) => {
  const hear = ({url, types}) => new Promise((resolve) => {
    const events = [];
    const source = new EventSource(url);
    for (const type of types) {
      source.addEventListener(type, ({data, type, lastEventId}) =>
        events.push({data, event: type, id: lastEventId}));
    }
    source.onerror = () => {
      if (source.readyState === 2 || url.includes("once")) {
        source.close();
        resolve(events);
      }
    };
  });
  const results = Array(jobs.length);
  let next = 0;
  await Promise.all(Array.from({length: 6}, async () => {
    while (next < jobs.length) {
      const at = next++;
      results[at] = await hear(jobs[at]);
    }
  }));
  return results;
}
"""


def bytes_of(vector: dict[str, Any]) -> bytes:
    """The stream of a vector."""
    if "base64" in vector:
        return base64.b64decode(vector["base64"])
    return str(vector["text"]).encode()


@contextmanager
def run_server() -> Iterator[tuple[str, dict[str, str]]]:
    """`/?vector=N&cuts=1,2` in those pieces; the second request of an address gets 204."""
    came_back: dict[str, str] = {}
    seen: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            if "vector" not in asked:
                self._whole(b"<!doctype html><title>native</title>")
            elif self.path in seen:
                # Header bytes are read as Latin-1; they were UTF-8.
                last = self.headers.get("Last-Event-ID", "")
                came_back[self.path] = last.encode("latin-1").decode("utf-8", "replace")
                self.send_response(204)
                self.end_headers()
            else:
                seen.add(self.path)
                stream = bytes_of(VECTORS[int(asked["vector"][0])])
                self._pieces(stream, asked.get("cuts", [""])[0])

        def _whole(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _pieces(self, stream: bytes, cuts: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            size = 1 if cuts == "all" else 0
            at = [int(cut) for cut in cuts.split(",") if cut.isdigit()]
            edges = list(range(0, len(stream) + 1, size)) if size else [0, *at, len(stream)]
            for start, end in pairwise(edges):
                if end > start:
                    self.wfile.write(b"%x\r\n%b\r\n" % (end - start, stream[start:end]))
                    self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", came_back
        finally:
            server.shutdown()
            thread.join()


def hear(browser: Browser, url: str, paths: list[tuple[int, str]]) -> list[Any]:
    """The events of each (vector, path), as the browser dispatched them."""
    jobs = [
        {
            "url": path,
            "types": sorted({"message"} | {event["event"] for event in VECTORS[number]["events"]}),
        }
        for number, path in paths
    ]
    with browser.page() as page:
        page.open(url)
        page.evaluate(
            f"({HEAR})({json.dumps(jobs)}).then((heard) => {{ window.heard = heard; }}); undefined"
        )
        heard: list[Any] = page.wait_for("window.heard", patience=120)
        return heard


def find_differences(paths: list[tuple[int, str]], heard: list[Any]) -> set[str]:
    """The names of the vectors that the browser read otherwise."""
    told = zip(paths, heard, strict=True)
    return {VECTORS[at]["name"] for (at, _), seen in told if seen != VECTORS[at]["events"]}


def test_a_browser_reads_the_corpus_as_it_says(browser: Browser) -> None:
    """Whole, byte by byte, and in two: the same events; and it comes back with the last id."""
    paths = [
        (number, f"/?vector={number}&cuts={cuts}&once")
        for number, vector in enumerate(VECTORS)
        for cuts in ("", "all", str(len(bytes_of(vector)) // 2))
    ]
    with run_server() as (url, _):
        heard = hear(browser, url, paths)
    assert find_differences(paths, heard) == CHROMIUM_DIFFERS


def test_a_browser_comes_back_with_the_last_id(browser: Browser) -> None:
    """The id it kept is the corpus's: a checkpoint counts, a block that never ended does not.

    A browser waits three seconds before it comes back, or what `retry` says: of the vectors whose
    ids matter, those with a short wait are asked, and as many others as it opens at once.
    """
    with_id = [(vector["retry"], at) for at, vector in enumerate(VECTORS) if vector["lastEventId"]]
    chosen = [at for retry, at in with_id if retry == 40]
    chosen += [at for retry, at in with_id if retry is None][:6]
    paths = [(number, f"/?vector={number}") for number in chosen]
    with run_server() as (url, came_back):
        hear(browser, url, paths)
        for number, path in paths:
            # HTTP takes the spaces around a header's value away.
            kept = VECTORS[number]["lastEventId"].strip()
            assert came_back[path] == kept, VECTORS[number]["name"]


@pytest.mark.soak
def test_a_browser_reads_the_corpus_at_every_cut(browser: Browser) -> None:
    """Cut in two at every byte."""
    paths = [
        (number, f"/?vector={number}&cuts={cut}&once")
        for number, vector in enumerate(VECTORS)
        for cut in range(1, len(bytes_of(vector)))
        if len(bytes_of(vector)) < 600
    ]
    for start in range(0, len(paths), 500):
        part = paths[start : start + 500]
        with run_server() as (url, _):
            heard = hear(browser, url, part)
        assert find_differences(part, heard) <= CHROMIUM_DIFFERS
