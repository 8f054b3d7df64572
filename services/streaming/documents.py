"""Open the document that a source stands in: its indexed text, with the passage marked.

JSON for programs; for a browser a page without scripts, because the text comes from documents
that are not trusted.
"""

from html import escape
from typing import Any, Protocol, runtime_checkable

from starlette.responses import HTMLResponse, Response

from ..errors import RiverrunError
from ..passages import DocumentText
from .app import App, default_app
from .http.responses import JSONAnswer, error_response

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept, Origin",
}

# The colours of the page (netlify/site/style.css), whose sheets a strict policy keeps out.
_STYLE = (
    ":root{color-scheme:light dark;--water:light-dark(#17646d,#69c0c4)}"
    "body{max-width:42rem;margin:2.5rem auto;padding:0 1.25rem;font:1.0625rem/1.6 Charter,Georgia,"
    "serif;background:light-dark(#faf8f3,#12191c);color:light-dark(#1c2528,#e3e8e6)}"
    "h1,h2{font-weight:500;line-height:1.25}h1{font-size:1.75rem}h2{font-size:1.25rem}"
    "p{white-space:pre-wrap;overflow-wrap:anywhere}"
    "#passage{margin-inline:-1rem;padding:.5rem 1rem;border-radius:.25rem;scroll-margin-top:7rem;"
    "background:color-mix(in srgb,var(--water) 13%,transparent)}"
    "mark{color:inherit;background:none}"
)


@runtime_checkable
class DocumentReader(Protocol):
    """A library that can read a whole document; `services.context.Library` is one."""

    async def read_document(self, passage: str) -> DocumentText | None:
        """Return the document of a passage, None when there is none."""
        ...


class NoSuchSourceError(RiverrunError):
    """There is no such passage, or its document cannot be read here."""

    code = "not_found"


async def handle_source(passage: str, *, html: bool = False, app: App | None = None) -> Response:
    """Return the document of the passage with the id `passage`: as JSON, or as a page."""
    library = (app or default_app()).context
    try:
        found = None
        if isinstance(library, DocumentReader):
            found = await library.read_document(passage)
        if found is None:
            raise NoSuchSourceError("There is no such source, or it was indexed anew since.")
    except RiverrunError as error:
        return error_response(error)
    return HTMLResponse(_page(found), headers=HEADERS) if html else JSONAnswer(_plain(found))


def _plain(document: DocumentText) -> dict[str, Any]:
    return {
        "id": document.id,
        "title": document.title,
        "uri": document.uri,
        "passages": [
            {"id": one.id, "title": one.title, "uri": one.uri, "text": one.text}
            for one in document.passages
        ],
    }


def _page(document: DocumentText) -> str:
    title = escape(document.title)
    parts = []
    heading = document.title
    for one in document.passages:
        if one.title != heading:
            heading = one.title
            parts.append(f"<h2>{escape(heading.rpartition(' › ')[2])}</h2>")
        text = escape(one.text)
        if one.id == document.id:
            parts.append(f'<p id="passage"><mark>{text}</mark></p>')
        else:
            parts.append(f"<p>{text}</p>")
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{''.join(parts)}"
    )
