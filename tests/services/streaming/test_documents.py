"""A source opens the document it stands in."""

import json
from typing import Any

import pytest

from services.passages import DocumentText, Passage
from services.streaming.app import App
from services.streaming.documents import handle_source

pytestmark = pytest.mark.anyio

TEXTS = ("First.", "Then <script>alert(1)</script>.")
PASSAGES = tuple(
    Passage(f"a.md#{n}", f"A › Part {n}", f"a.md#{n}", text, 0.0, 0.0, ())
    for n, text in enumerate(TEXTS)
)


class Shelf:
    """A library of one document."""

    async def retrieve(self, *_: Any, **__: Any) -> tuple[Passage, ...]:
        """Find nothing."""
        return ()

    async def read_document(self, passage: str) -> DocumentText | None:
        """The document, for one of its passages."""
        known = passage in {one.id for one in PASSAGES}
        return DocumentText(passage, "A", "a.md", PASSAGES) if known else None


async def test_a_program_gets_the_passages_in_order() -> None:
    """As JSON."""
    reply = await handle_source("a.md#1", app=App(context=Shelf()))
    found = json.loads(bytes(reply.body))
    assert (reply.status_code, found["title"], found["uri"]) == (200, "A", "a.md")
    assert [one["text"] for one in found["passages"]] == list(TEXTS)


async def test_a_browser_gets_a_page_with_the_passage_marked_and_nothing_run() -> None:
    """A document comes from strangers."""
    reply = await handle_source("a.md#1", html=True, app=App(context=Shelf()))
    page = bytes(reply.body).decode()
    assert '<p id="passage"><mark>Then &lt;script&gt;alert(1)&lt;/script&gt;.</mark></p>' in page
    assert "<script" not in page
    assert "default-src 'none'" in reply.headers["content-security-policy"]


async def test_what_is_not_there_is_not_found() -> None:
    """Also where the library can only find passages."""

    class Finder:
        async def retrieve(self, *_: Any, **__: Any) -> tuple[Passage, ...]:
            return ()

    for library in (Shelf(), Finder()):
        reply = await handle_source("b.md", app=App(context=library))
        assert reply.status_code == 404
        assert json.loads(bytes(reply.body))["code"] == "not_found"
