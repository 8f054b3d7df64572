"""Streaming answers: the facade and everything a function needs around it.

from services.streaming import handle_streaming_request

response = await handle_streaming_request({"query": "Plan a trip to Japan"})
"""

from services.progress import Progress
from services.streaming.events import (
    Failure,
    Final,
    Notice,
    Reset,
    Result,
    Source,
    Sources,
    Spent,
    Status,
    Token,
    Usage,
)
from services.streaming.facade import handle_request, handle_streaming_request
from services.streaming.health import handle_health
from services.streaming.http import http_app
from services.streaming.installation import Installation, installed
from services.streaming.question import Question, Reader
from services.streaming.reading import handle_resume, handle_state, handle_stop
from services.streaming.requests import (
    Cursor,
    read_after,
    read_cursor,
    read_dialect,
    read_owner,
    read_question,
    read_reader,
)
from services.streaming.shutdown import shut_down, wound_up

__all__ = [
    "Cursor",
    "Failure",
    "Final",
    "Installation",
    "Notice",
    "Progress",
    "Question",
    "Reader",
    "Reset",
    "Result",
    "Source",
    "Sources",
    "Spent",
    "Status",
    "Token",
    "Usage",
    "handle_health",
    "handle_request",
    "handle_resume",
    "handle_state",
    "handle_stop",
    "handle_streaming_request",
    "http_app",
    "installed",
    "read_after",
    "read_cursor",
    "read_dialect",
    "read_owner",
    "read_question",
    "read_reader",
    "shut_down",
    "wound_up",
]
