"""Streaming answers: the handlers of requests, and everything a function needs around them.

from services.streaming import handle_streaming_request

response = await handle_streaming_request({"query": "Plan a trip to Japan"})
"""

from ..progress import Progress
from .app import App, close_log, default_app, set_default_app, shut_down, wait_closed
from .dialect_handlers import (
    find_chat_run,
    follow_run,
    handle_chat_stream,
    handle_question,
    handle_response,
    remember_chat,
)
from .endpoints import answer_app, answer_routes, run_routes, source_routes
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
from .feedback import handle_feedback
from .handlers import (
    handle_health,
    handle_request,
    handle_resume,
    handle_state,
    handle_stop,
    handle_streaming_request,
)
from .http.asgi import http_app
from .http.credentials import read_owner, read_run_owner, read_sender
from .http.notice import ShutdownNotice
from .http.requests import (
    Cursor,
    read_after,
    read_cursor,
    read_dialect,
    read_dialect_question,
    read_question,
    read_reader,
    read_response_id,
    read_starting_after,
)
from .ownership import handle_delete, handle_delete_session, handle_list
from .question import Question, ReaderTerms
from .run.interruption import report_event

__all__ = [
    "App",
    "Cursor",
    "ErrorEvent",
    "Final",
    "Notice",
    "Progress",
    "Question",
    "ReaderTerms",
    "Reset",
    "Result",
    "ShutdownNotice",
    "Source",
    "Sources",
    "Status",
    "Token",
    "Usage",
    "UsageEvent",
    "answer_app",
    "answer_routes",
    "close_log",
    "default_app",
    "find_chat_run",
    "follow_run",
    "handle_chat_stream",
    "handle_delete",
    "handle_delete_session",
    "handle_feedback",
    "handle_health",
    "handle_list",
    "handle_question",
    "handle_request",
    "handle_response",
    "handle_resume",
    "handle_state",
    "handle_stop",
    "handle_streaming_request",
    "http_app",
    "read_after",
    "read_cursor",
    "read_dialect",
    "read_dialect_question",
    "read_owner",
    "read_question",
    "read_reader",
    "read_response_id",
    "read_run_owner",
    "read_sender",
    "read_starting_after",
    "remember_chat",
    "report_event",
    "run_routes",
    "set_default_app",
    "shut_down",
    "source_routes",
    "wait_closed",
]
