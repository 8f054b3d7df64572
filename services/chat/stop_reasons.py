"""Translate a model's stop reason into a `Stop`, or into the error that it is.

Each provider has a table of its own words.
"""

import logging
from collections.abc import Mapping

from .provider import ChatCode, Note, Piece, Stop, StopReason
from .provider_errors import make_chat_error

logger = logging.getLogger(__name__)

StopReasonTable = Mapping[str, StopReason | ChatCode]
"""From a provider's words to the finish reasons and error codes of the contract."""


def end_answer(word: str, table: StopReasonTable) -> list[Piece]:
    """Return the last pieces of an answer that ended with `word`; "" is none at all.

    An unknown word is reported in a `Note`, and not as a failure: the model did say that it had
    finished, and the contract has no word for more. Raises `ChatError` for a bad end.
    """
    if not word:
        raise make_chat_error("provider_truncated")
    end = table.get(word)
    if end is None:
        logger.warning("The model stopped for a reason that is not known here: %r.", word[:80])
        note = Note("unknown_stop", "The model ended its answer in a way that is not known here.")
        return [note, Stop("stop")]
    if end in ("stop", "length", "budget"):
        return [Stop(end)]
    raise make_chat_error(end)
