"""Log records as one line each, however they were filled: escaped and cut.

A message, an exception's text and a traceback may hold what a stranger sent. A line break in them
cannot begin a record, an escape sequence cannot reach a terminal, and none is much over `LONGEST`.
"""

import json
import logging
import re
import time
from typing import TextIO

LONGEST = 8 * 1024

# Control characters of both sets, and the marks that some viewers break or turn a line at.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def configure_logging(stream: TextIO | None = None, *, as_json: bool = False) -> None:
    """Log to `stream` (stderr), one line a record, unless the host has set up logging already."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLineFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It tells where it found its credentials, every time.
    logging.getLogger("botocore").setLevel(logging.WARNING)


class LineFormatter(logging.Formatter):
    """Level, logger and message; a traceback follows on the same line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record as one line."""
        return escape_line(f"{record.levelname} {record.name}: {self.format_message(record)}")

    def format_message(self, record: logging.LogRecord) -> str:
        """Write the message, with its traceback."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - an argument that does not fit its format
            message = str(record.msg)
        if record.exc_info and record.exc_info[0] is not None:
            message += "\n" + self.formatException(record.exc_info)
        return message


class JsonLineFormatter(LineFormatter):
    """The same as an object, with the names that Lambda's own JSON log has."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record as one line of JSON."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told = {
            "timestamp": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": escape_line(self.format_message(record)),
        }
        return json.dumps(told)


def escape_line(text: str, longest: int = LONGEST) -> str:
    """Make one bounded line of `text`: what could end, hide or turn it becomes visible."""
    # A long text keeps its end, where a traceback says what happened.
    if len(text) > longest:
        text = f"{text[: longest // 2]} … {len(text) - longest} left out … {text[-longest // 2 :]}"
    return _UNSAFE.sub(lambda found: _NAMED.get(found[0]) or _code(found[0]), text)


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
