"""Server-Sent Events: `encode` writes a block.

Follows the WHATWG HTML standard, section 9.2 "Server-sent events", and is stricter where the
standard leaves a writer room to hurt a reader: lines end in LF only, a field that would add a
line is refused, never repaired. Knows nothing of what the data means.
"""

from ...errors import RiverrunError
from ..event_json import clean

CONTENT_TYPE = "text/event-stream"

# One LF, not two: a comment followed by a blank line makes clients that have seen an id
# dispatch an empty event, and some of them fail on it.
PING = b": ping\n"


class FieldError(RiverrunError, ValueError):
    """A value that cannot be written into an event stream without changing its meaning."""

    code = "internal"


def encode(
    data: str, *, id: str | None = None, event: str | None = None, retry: int | None = None
) -> bytes:
    """Return one block of an event stream, blank line included.

    `data` may hold any text: each CR LF, CR or LF in it becomes a line of its own, as a parser
    will give back joined by LF. Half a surrogate pair becomes U+FFFD. `retry` is in
    milliseconds.

    Raises `FieldError` when `id` or `event` holds CR, LF, NUL or half a surrogate pair, or
    `retry` is not a whole number from 0 up.
    """
    block = ""
    if retry is not None:
        if type(retry) is not int or retry < 0:
            raise FieldError(f"retry is a whole number of milliseconds, not {retry!r}.")
        block += f"retry: {retry}\n"
    if event is not None:
        block += f"event: {_check_one_line('event', event)}\n"
    if id is not None:
        block += f"id: {_check_one_line('id', id)}\n"
    for line in _lines(data):
        block += f"data: {line}\n"
    return (block + "\n").encode()


def _lines(text: str) -> list[str]:
    # Not str.splitlines: U+2028, U+0085, VT and FF are text here, not line ends.
    return clean(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _check_one_line(name: str, value: str) -> str:
    # "If the field value does not contain U+0000 NULL, then set the last event ID buffer":
    # an id with NUL would silently not be an id, so the three are refused alike.
    if any(character in value for character in "\r\n\0"):
        raise FieldError(f"{name} must be one line without NUL.")
    if clean(value) is not value:
        raise FieldError(f"{name} must be valid Unicode.")
    return value
