"""The pictures of the documents, which `make pictures` takes, and how they are joined."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.ecosystems import pictures
from tests.netlify.pictures import animate, drop_short

DOCS = ROOT / "docs"


def _list_chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    assert (image[:4], image[8:12]) == (b"RIFF", b"WEBP")
    assert struct.unpack_from("<I", image, 4)[0] == len(image) - 8
    at = 12
    while at < len(image):
        (length,) = struct.unpack_from("<I", image, at + 4)
        yield image[at : at + 4], image[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    assert at == len(image)


def test_the_readme_begins_with_the_plug_being_pulled() -> None:
    """A moving picture that is no burden: several frames, each shown a while, under 300 KB."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme.splitlines()[2].startswith("![")
    assert readme.splitlines()[2].endswith("](docs/plug.webp)")
    image = (DOCS / "plug.webp").read_bytes()
    frames = [data for name, data in _list_chunks(image) if name == b"ANMF"]
    assert len(image) < 300_000
    assert len(frames) >= 6
    shown = [int.from_bytes(frame[12:15], "little") for frame in frames]
    assert all(milliseconds >= 50 for milliseconds in shown)
    assert sum(shown) < 30_000


def test_a_page_is_pictured_by_day_and_by_night() -> None:
    """Still pictures, as a browser took them."""
    for name in ("page-light.webp", "page-dark.webp"):
        image = (DOCS / name).read_bytes()
        assert len(image) < 100_000
        assert "ANMF" not in {chunk.decode("latin-1") for chunk, _ in _list_chunks(image)}


def test_a_frame_that_no_one_sees_is_left_out_of_a_film() -> None:
    """Its time goes to the frame that follows, and the film is as long as before."""
    frames = [(b"a", 500), (b"b", 20), (b"c", 29), (b"d", 400), (b"e", 50), (b"f", 3)]
    assert drop_short(frames) == [(b"a", 500), (b"d", 449), (b"e", 50)]


def test_what_a_picture_needs_and_is_not_here_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with what installs it; what can be pictured is, and no traceback is printed."""
    monkeypatch.setattr(pictures, "NEEDS_OF_OPEN_WEBUI", {"tests/oracles/open_webui/install": "x"})
    missing = pictures.list_missing(["ai-sdk", "open-webui"], root=tmp_path)
    assert missing == {
        "ai-sdk": "npm ci --prefix clients/javascript && npm ci --prefix tests/ecosystems",
        "open-webui": "tests/oracles/open_webui/install",
    }


def test_still_images_are_joined_without_what_is_not_their_pixels() -> None:
    """An odd length is padded; a profile or a comment of a frame does not get in."""
    pixels = b"VP8 " + struct.pack("<I", 3) + b"abc\0"
    still = b"VP8X" + struct.pack("<I", 10) + bytes(10) + b"ICCP" + struct.pack("<I", 1) + b"p\0"
    body = b"WEBP" + still + pixels
    image = b"RIFF" + struct.pack("<I", len(body)) + body
    joined = dict(_list_chunks(animate([(image, 40)], (640, 500))))
    assert joined[b"VP8X"][4:7] == (639).to_bytes(3, "little")
    assert joined[b"ANMF"][6:9] == (639).to_bytes(3, "little")
    assert joined[b"ANMF"][12:15] == (40).to_bytes(3, "little")
    assert joined[b"ANMF"][16:] == pixels
