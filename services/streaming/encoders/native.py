"""The native dialect: Server-Sent Events as the user's own clients read them.

One line of JSON behind ``data: ``, LF only, no ``event:`` field (``onmessage`` sees only unnamed
events), an ``id:`` on each event, ``retry:`` inside the first block and nowhere else: a block of
its own breaks clients that parse every block as JSON.
"""

from collections.abc import Callable

from ...runs import Entry
from . import sse
from .lines import one_line
from .run_info import RunInfo

CONTENT_TYPE = sse.CONTENT_TYPE
SILENCE = sse.PING
HAS_STATE = False
RETRY_MS = 3000


def encoder(run_info: RunInfo) -> Callable[[Entry], bytes]:
    """Frame the entries of one run. Ids are ``<run>-<seq>``."""
    # Checked once here, so that the frames can be put together as bytes: a payload is JSON,
    # which has no raw line ends, and a sequence number is digits.
    head = sse.encode("", id=run_info.run_id).split(b"\n", 1)[0]

    def encode(entry: Entry) -> bytes:
        data = one_line(entry.payload)
        if entry.seq == 0:
            # What could not be kept has no place to resume from, and so no id.
            return b"data: %b\n\n" % data
        retry = b"retry: %d\n" % RETRY_MS if entry.seq == 1 else b""
        return b"%b%b-%d\ndata: %b\n\n" % (retry, head, entry.seq, data)

    return encode
