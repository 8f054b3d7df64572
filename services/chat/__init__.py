"""Chat: a question and its passages in, pieces of an answer out.

This package knows nothing of runs, events, embeddings or sockets.
"""

from .citations import Grounding, check_citations, find_quotes
from .draft import Draft
from .drafting import DraftingProvider
from .opening import open_chat
from .provider import (
    ZERO_USAGE,
    ChatCode,
    ChatError,
    ChatProvider,
    ModelUsage,
    Note,
    Piece,
    Prompt,
    Restart,
    Stop,
    StopReason,
    Text,
    ThoughtText,
    Turn,
    UnbilledCall,
    answer,
)

__all__ = [
    "ZERO_USAGE",
    "ChatCode",
    "ChatError",
    "ChatProvider",
    "Draft",
    "DraftingProvider",
    "Grounding",
    "ModelUsage",
    "Note",
    "Piece",
    "Prompt",
    "Restart",
    "Stop",
    "StopReason",
    "Text",
    "ThoughtText",
    "Turn",
    "UnbilledCall",
    "answer",
    "check_citations",
    "find_quotes",
    "open_chat",
]
