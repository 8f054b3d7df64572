"""The log as the stock runtime writes it: text or JSON, one line per record.

Every record carries the request id of the invocation it was written in. A line break in a
value cannot begin a new record. Where Lambda passes a telemetry descriptor, records are framed
for it; otherwise they go to standard output.
"""

import json
import logging
import os
import struct
import sys
import time
import traceback
from typing import Any

from .invocation import current

LEVELS = {
    "TRACE": "DEBUG", "DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING",
    "WARNING": "WARNING", "ERROR": "ERROR", "FATAL": "CRITICAL", "CRITICAL": "CRITICAL",
}  # fmt: skip

# Frame types of the telemetry descriptor: text, by level; JSON is one less.
_FRAMES = {10: 0x0B, 20: 0x0F, 30: 0x13, 40: 0x17, 50: 0x1B}
_FRAME_BASE = 0xA55A0000
_FRAME_UNSET = 0x03

# The errors behind the one of a record: how many, and how many characters of each.
MAX_CAUSES = 8
MAX_CAUSE_LENGTH = 1000

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(*, json_logs: bool, level: str | None, telemetry_fd: int | None = None) -> None:
    """Give the root logger the one handler of this process.

    Without a level it stays at WARNING, as under the stock runtime; an unknown one is ignored.
    """
    handler: logging.Handler
    if telemetry_fd is None:
        handler = StandardOutput()
    else:
        handler = Telemetry(telemetry_fd, json_logs=json_logs)
    handler.setFormatter(JsonLines() if json_logs else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    name = LEVELS.get((level or "").upper())
    if name is not None:
        root.setLevel(name)
    elif json_logs:
        root.setLevel(logging.INFO)


class StandardOutput(logging.Handler):
    """Writes to whatever `sys.stdout` is at that moment, and flushes: the sandbox may freeze."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 (logging's own rule: a handler never raises)
            self.handleError(record)


class Telemetry(logging.Handler):
    """Writes frames of type, length, microseconds since the epoch, message."""

    def __init__(self, descriptor: int, *, json_logs: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._json = json_logs

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            message = self.format(record).encode()
            kind = _FRAME_BASE + _FRAMES.get(record.levelno, _FRAME_UNSET) - self._json
            stamp = int(record.created * 1_000_000)
            frame = struct.pack(">IIQ", kind, len(message), stamp) + message
            while frame:
                frame = frame[os.write(self._descriptor, frame) :]
        except Exception:  # noqa: BLE001 (logging's own rule: a handler never raises)
            self.handleError(record)


class TextLines(logging.Formatter):
    """Level, time, request id and message between tabs."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback's own lines are parted by carriage returns, as CloudWatch reads."""
        invocation = current.get()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = [
            f"[{record.levelname}]",
            f"{stamp}.{int(record.msecs):03d}Z",
            invocation.id if invocation else "",
            _escape(record.getMessage()),
        ]
        line = "\t".join(fields)
        if record.exc_info and record.exc_info[0] is not None:
            frames = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            line += "\r" + frames.replace("\r", "\\r").replace("\n", "\r")
        return line


class JsonLines(logging.Formatter):
    """The stock runtime's JSON record, with what `extra` added."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object on one line."""
        invocation = current.get()
        fields: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            fields["stackTrace"] = traceback.format_tb(trace)
            fields["errorType"] = kind.__name__
            fields["errorMessage"] = str(error)
            fields["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
            if causes := _list_causes(error):
                fields["causes"] = causes
        if invocation is not None:
            fields["requestId"] = invocation.id
            if invocation.tenant_id is not None:
                fields["tenantId"] = invocation.tenant_id
        for name, value in vars(record).items():
            if name not in _USUAL and name not in fields:
                fields[name] = value
        line = json.dumps(fields, default=str, ensure_ascii=False).replace("\u2028", "\\u2028")
        # Half a character, as a service may send it, is none that could be written.
        return line.encode("utf-8", "backslashreplace").decode()


def _list_causes(error: BaseException | None) -> list[dict[str, str]]:
    """List the errors behind `error`, the nearest first: bounded in number and length."""
    causes: list[dict[str, str]] = []
    seen = {id(error)}
    while error is not None and len(causes) < MAX_CAUSES:
        behind = error.__cause__
        if behind is None and not error.__suppress_context__:
            behind = error.__context__
        if isinstance(error, BaseExceptionGroup):
            behind = error.exceptions[0]
        if behind is None or id(behind) in seen:
            break
        seen.add(id(behind))
        causes.append(
            {"errorType": type(behind).__name__, "errorMessage": str(behind)[:MAX_CAUSE_LENGTH]}
        )
        error = behind
    return causes


def _escape(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")
