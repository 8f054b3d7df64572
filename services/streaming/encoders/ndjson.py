"""NDJSON: one JSON object a line, for any line reader.

The object is the event's own with its ``id`` in front. Silence is an object too
(``{"type":"ping"}``), because a blank line is not JSON.
"""

from collections.abc import Callable

from ...runs import Entry
from .lines import one_line
from .run_info import RunInfo

CONTENT_TYPE = "application/x-ndjson"
SILENCE = b'{"type":"ping"}\n'
HAS_STATE = False


def encoder(run_info: RunInfo) -> Callable[[Entry], bytes]:
    """Frame the entries of one run."""
    head = b'{"id":"%b-' % run_info.run_id.encode("ascii")

    def encode(entry: Entry) -> bytes:
        data = one_line(entry.payload)
        if entry.seq == 0:
            # What could not be kept has no place to resume from, and so no id.
            return data + b"\n"
        # A payload is a JSON object that begins with its type, so it is never empty.
        return b'%b%d",%b\n' % (head, entry.seq, data[1:])

    return encode
