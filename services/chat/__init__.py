"""Chat: a question and its passages in, pieces of an answer out.

This package knows nothing of runs, events, embeddings or sockets.
"""

from services.chat.opening import open_chat
from services.chat.provider import (
    Anew,
    ChatCode,
    ChatError,
    ChatProvider,
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
    "Anew",
    "ChatCode",
    "ChatError",
    "ChatProvider",
    "Piece",
    "Prompt",
    "Stop",
    "StopReason",
    "Text",
    "Turn",
    "Usage",
    "answer",
    "open_chat",
]
