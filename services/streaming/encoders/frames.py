"""What the dialects of other ecosystems have in common: a JSON object in one `data:` line.

LF only, one block for each object, no `retry:`, no `id:` unless the dialect's clients bear it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from ...runs import Entry
from .lines import one_line

_TOKEN = b'{"type":"token","text":'


def frame(document: Mapping[str, Any], *, event: str = "") -> bytes:
    """Return `document` as one block of an event stream, of the type `event` where there is one."""
    head = b"event: %b\n" % event.encode("ascii") if event else b""
    return b"%bdata: %b\n\n" % (head, one_line(to_json(document, inf_nan_mode="null")))


def read_token(entry: Entry) -> bytes:
    """Return the text of a token as the JSON string that the log keeps, ready for a frame.

    One is read for each token: no JSON is parsed and written again.
    """
    return one_line(entry.payload[len(_TOKEN) : -1])


def read_token_text(entry: Entry) -> str:
    """Return the text of a token."""
    text: str = from_json(entry.payload)["text"]
    return text


def read_payload(entry: Entry) -> dict[str, Any]:
    """Return the JSON object of any event."""
    document: dict[str, Any] = from_json(entry.payload)
    return document


def is_web_address(uri: str) -> bool:
    """Whether a client may offer `uri` as a link."""
    return uri.startswith(("http://", "https://"))
