"""Chat: a question and its passages in, pieces of an answer out.

This package knows nothing of runs, events, embeddings or sockets.
"""

from services.chat.grounding import Grounding, check
from services.chat.opening import open_chat
from services.chat.provider import (
    NOTHING,
    Anew,
    ChatCode,
    ChatError,
    ChatProvider,
    Cut,
    Note,
    Piece,
    Prompt,
    Stop,
    StopReason,
    Text,
    Turn,
    Usage,
    answer,
)

__all__ = [
    "NOTHING",
    "Anew",
    "ChatCode",
    "ChatError",
    "ChatProvider",
    "Cut",
    "Grounding",
    "Note",
    "Piece",
    "Prompt",
    "Stop",
    "StopReason",
    "Text",
    "Turn",
    "Usage",
    "answer",
    "check",
    "open_chat",
]
