"""The pictures of the page, taken from the real one: `make pictures`.

`docs/plug.webp` is the plug being pulled, frame by frame as a browser showed it: an answer is being
written, its function is killed, another one goes on with it. With `--states FOLDER` the page
is taken in each state it has to look well in, to be looked at by a person.
"""

import argparse
import base64
import os
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.settings import ROOT
from tests.browser import NO_CHROMIUM, Browser, Page, find_chromium
from tests.emulator.support import run_cloud
from tests.netlify.states import STATES, answer_states
from tests.netlify.visits import LAST, ask
from tests.netlify.wire import serve

DOCS = ROOT / "docs"
QUESTION = "How do I get around in Lisbon?"
WARM_UP = "fetch('/api/chat?query=Lisbon').then((said) => said.text())"
SIZE = (640, 500)
QUALITY = 40
FRAME_SECONDS = 0.5
# A shorter frame is not seen: browsers show one of less than 11 ms for 100.
SHORTEST_MS = 50
LAST_SECONDS = 4.0

SAID = """["h2", ".steps .description", ".notices", ".answer > *", ".actions"].map((part) =>
  [...document.querySelectorAll(`.turn ${part}`)].map((node) =>
    node.getBoundingClientRect().bottom < innerHeight - 90 && node.innerText).join()).join()"""
"""What is said in the window, without its clocks."""


@contextmanager
def open_page(*, pace: int) -> Iterator[tuple[Page, str]]:
    """The functions of template.yaml behind the emulator, as `make dev` has them, and a browser."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(NO_CHROMIUM)
    with tempfile.TemporaryDirectory() as data:
        environ = {
            "RIVERRUN_LOG": "sqlite://",
            "RIVERRUN_DATA_DIR": data,
            "RIVERRUN_CHAT_PACE": str(pace),
        }
        template = ROOT / "template.yaml"
        with (
            run_cloud(template, options={"environ": os.environ | environ}) as cloud,
            Browser(chromium) as browser,
            browser.page() as page,
        ):
            yield page, cloud.url("netlify").replace("127.0.0.1", "localhost")


def film_plug(page: Page, url: str) -> bytes:
    """Pull the plug in the middle of an answer; return what was seen, as a moving picture.

    It has a frame for each change of what is said, shown as long as that stood. Clocks are no
    change: while the next function starts, they alone move.
    """
    frames: list[tuple[bytes, float]] = []
    page.resize(*SIZE)
    page.prefer(color_scheme="light", reduced_motion="reduce")
    page.open(url)
    page.evaluate(WARM_UP)
    ask(page, QUESTION)

    def film_until(condition: str) -> None:
        said = None
        for _ in range(400):
            is_met, now = page.evaluate(f"[Boolean({condition}), ({SAID})]")
            if now != said:
                said = now
                shot = page.call("Page.captureScreenshot", format="webp", quality=QUALITY)
                frames.append((base64.b64decode(shot["data"]), time.monotonic()))
            if is_met:
                return
            time.sleep(FRAME_SECONDS)
        raise AssertionError(f"never happened: {condition}")

    film_until(f"document.querySelector('{LAST} .answer')?.innerText.length > 100")
    page.evaluate("document.querySelector('.plug').focus({focusVisible: true})")
    film_until("true")
    time.sleep(FRAME_SECONDS)
    page.press("Enter")
    film_until(f"document.querySelector('{LAST}').dataset.phase === 'done'")
    ends = [when for _, when in frames[1:]] + [frames[-1][1] + LAST_SECONDS]
    timed = [
        (image, round((end - when) * 1000)) for (image, when), end in zip(frames, ends, strict=True)
    ]
    return animate(drop_short(timed), SIZE)


def drop_short(frames: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    """Leave out frames that no one sees; what they had goes to the one that follows."""
    kept: list[tuple[bytes, int]] = []
    owed = 0
    for image, shown_ms in frames:
        if shown_ms + owed < SHORTEST_MS:
            owed += shown_ms
        else:
            kept.append((image, shown_ms + owed))
            owed = 0
    return kept


def animate(frames: Sequence[tuple[bytes, int]], size: tuple[int, int]) -> bytes:
    """Join WebP images of one size, each with its milliseconds, to one that repeats for ever."""
    width, height = (side - 1 for side in size)
    canvas = struct.pack("<HBHB", width & 0xFFFF, width >> 16, height & 0xFFFF, height >> 16)
    chunks = [_chunk(b"VP8X", b"\2\0\0\0" + canvas), _chunk(b"ANIM", b"\xff\xff\xff\xff\0\0")]
    for image, shown_ms in frames:
        head = bytes(6) + canvas + struct.pack("<I", shown_ms)[:3] + b"\2"
        chunks.append(_chunk(b"ANMF", head + _pixels(image)))
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WEBP" + b"".join(chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _pixels(image: bytes) -> bytes:
    """Return the chunks of a still image that hold its pixels."""
    at, kept = 12, b""
    while at < len(image):
        (length,) = struct.unpack_from("<I", image, at + 4)
        end = at + 8 + length + length % 2
        if image[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            kept += image[at:end]
        at = end
    return kept


def take_docs(page: Page, url: str) -> Iterator[tuple[str, bytes]]:
    """Take the pictures of the documents: a whole answer, by day and by night."""
    page.resize(1120, 860)
    page.open(url)
    ask(page, "Plan a trip to Japan")
    page.wait_for(f"document.querySelector('{LAST}')?.dataset.phase === 'done'", patience=40)
    for scheme in ("light", "dark"):
        page.prefer(color_scheme=scheme, reduced_motion="reduce")
        shot = page.call("Page.captureScreenshot", format="webp", quality=80)
        yield f"page-{scheme}.webp", base64.b64decode(shot["data"])


LOOKS = {
    "light": ((1120, 900), {"prefers-color-scheme": "light"}),
    "dark": ((1120, 900), {"prefers-color-scheme": "dark"}),
    "phone": ((390, 780), {"prefers-color-scheme": "light"}),
    "forced": ((1120, 900), {"forced-colors": "active", "prefers-color-scheme": "dark"}),
    "200": ((560, 450), {"prefers-color-scheme": "light"}),
    "print": ((760, 1100), {"prefers-color-scheme": "dark"}),
}
"""How the page is looked at: the window in CSS pixels, and what the system prefers."""


def set_look(page: Page, look: str) -> None:
    """Give a page the window and the preferences of one of `LOOKS`."""
    (width, height), features = LOOKS[look]
    page.resize(width, height, phone=look == "phone")
    if look == "200":
        size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", **size)
    wanted = [{"name": name, "value": value} for name, value in features.items()]
    page.call("Emulation.setEmulatedMedia", features=wanted)


def take_states() -> Iterator[tuple[str, bytes]]:
    """Take the page in each state and each look, as PNG; what is printed as PDF."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(NO_CHROMIUM)
    with Browser(chromium) as browser, serve(answer_states) as server:
        for look in LOOKS:
            for name, bring in STATES.items():
                with browser.page() as page:
                    set_look(page, look)
                    page.open(server.url)
                    bring(page)
                    if look == "print":
                        taken = page.call("Page.printToPDF")["data"]
                    else:
                        time.sleep(0.3)  # what moves has come to rest
                        taken = page.call("Page.captureScreenshot", format="png")["data"]
                    kind = "pdf" if look == "print" else "png"
                    yield f"{name}-{look}.{kind}", base64.b64decode(taken)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures; name each with its size."""
    parser = argparse.ArgumentParser(prog="python -m tests.netlify.pictures")
    parser.add_argument("--states", type=Path, metavar="FOLDER", help="take each state of the page")
    folder: Path | None = parser.parse_args(arguments).states
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, taken in take_states():
            _write(folder / name, taken)
        return 0
    with open_page(pace=12) as (page, url):
        _write(DOCS / "plug.webp", film_plug(page, url))
        for name, taken in take_docs(page, url):
            _write(DOCS / name, taken)
    return 0


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    sys.stdout.write(f"{path}  {len(data):,} bytes\n")


if __name__ == "__main__":
    sys.exit(main())
