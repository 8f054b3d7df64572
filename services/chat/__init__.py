"""Chat: a question and its passages in, pieces of an answer out.

This package knows nothing of runs, events, embeddings or sockets.
"""

from .citations import Grounding, check
from .opening import open_chat
from .provider import (
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
