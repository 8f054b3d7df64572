"""Streaming answers: the facade and everything a function needs around it.

from . import handle_streaming_request

response = await handle_streaming_request({"query": "Plan a trip to Japan"})
"""

from ..progress import Progress
from .app import App, default_app
from .events import (
    ErrorEvent,
    Final,
    Notice,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Token,
    Usage,
    UsageEvent,
)
from .handlers import handle_request, handle_streaming_request
from .health import handle_health
from .http.asgi import http_app
from .http.requests import (
    Cursor,
    read_after,
    read_cursor,
    read_dialect,
    read_owner,
    read_question,
    read_reader,
)
from .question import Question, Reader
from .reading import handle_resume, handle_state, handle_stop
from .shutdown import shut_down, wait_closed

__all__ = [
    "App",
    "Cursor",
    "ErrorEvent",
    "Final",
    "Notice",
    "Progress",
    "Question",
    "Reader",
    "Reset",
    "Result",
    "Source",
    "Sources",
    "Status",
    "Token",
    "Usage",
    "UsageEvent",
    "default_app",
    "handle_health",
    "handle_request",
    "handle_resume",
    "handle_state",
    "handle_stop",
    "handle_streaming_request",
    "http_app",
    "read_after",
    "read_cursor",
    "read_dialect",
    "read_owner",
    "read_question",
    "read_reader",
    "shut_down",
    "wait_closed",
]
