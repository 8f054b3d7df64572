"""How a model's own word for its end becomes ours: a `Stop`, or the error that it is.

Each provider has a table of its words; what they have in common is here.
"""

import logging
from collections.abc import Mapping

from .provider import ChatCode, Note, Piece, Stop, StopReason
from .provider_errors import chat_error

log = logging.getLogger(__name__)

Ends = Mapping[str, StopReason | ChatCode]
"""A provider's words -> how the contract calls that end."""


def ending(word: str, ends: Ends) -> list[Piece]:
    """The last pieces of an answer that ended with `word`; "" is none at all.

    An end nobody knows is told in a `Note`, and not as a failure: the model did say that it had
    finished, and the contract has no word for more. Raises `ChatError` for a bad end.
    """
    if not word:
        raise chat_error("provider_truncated")
    end = ends.get(word)
    if end is None:
        log.warning("The model stopped for a reason that is not known here: %r.", word[:80])
        note = Note("unknown_stop", "The model ended its answer in a way that is not known here.")
        return [note, Stop("stop")]
    if end in ("stop", "length", "budget"):
        return [Stop(end)]
    raise chat_error(end)
