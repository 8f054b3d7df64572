"""NDJSON: one JSON object a line, for any line reader.

The object is the event's own with its ``id`` in front. Silence is an object too
(``{"type":"ping"}``), because a blank line is not JSON.
"""

from collections.abc import Callable

from ...runs import Entry
from .lines import one_line

CONTENT_TYPE = "application/x-ndjson"
SILENCE = b'{"type":"ping"}\n'


def encoder(run_id: str) -> Callable[[Entry], bytes]:
    """Frame entries of the run `run_id`."""
    head = b'{"id":"%b-' % run_id.encode("ascii")

    def encode(entry: Entry) -> bytes:
        data = one_line(entry.payload)
        if entry.seq == 0:
            # What could not be kept has no place to resume from, and so no id.
            return data + b"\n"
        # A payload is a JSON object that begins with its type, so it is never empty.
        return b'%b%d",%b\n' % (head, entry.seq, data[1:])

    return encode
