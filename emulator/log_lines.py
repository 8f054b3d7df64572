"""The log lines of functions for a person at a terminal.

A function logs JSON, as it does when it is deployed. Here a record is its message, an exception is
a traceback in which the frame of one's own code stands first, and CloudWatch's metrics are one
short line a run.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.json_input import parse_json

_RED, _BOLD, _DIM, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"
_COLOURS = {"ERROR": _RED, "CRITICAL": _RED, "FATAL": _RED, "WARNING": _YELLOW, "WARN": _YELLOW}

_FRAME = re.compile(r'  File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<name>\S+)')

# What stands between a function and its event loop, below the project's folder.
_MACHINERY = ("services", "emulator", ".venv")


def format_line(line: str, root: Path, *, coloured: bool = False) -> list[str]:
    """What to print for a line that a function wrote: itself, where it is no record of ours."""
    record = _read_record(line)
    if record is None:
        return [line]
    if "_aws" in record:
        return _format_metrics(record)
    if not isinstance(record.get("level"), str) or "message" not in record:
        return [line]

    def paint(text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if coloured and colour else text

    level = record["level"]
    shown = [f"{paint(level, _COLOURS.get(level, ''))} {_escape(record['message'])}"]
    frames = record.get("stackTrace")
    if not isinstance(frames, Sequence) or isinstance(frames, str) or "errorType" not in record:
        return shown
    error = f"{record['errorType']}: {record.get('errorMessage', '')}"
    shown += [f"  {paint(_escape(error), _RED + _BOLD)}"]
    if (own := _find_own_frame(frames, root)) is not None:
        shown += [f"  {paint(each, _BOLD)}" for each in _split(own, root)]
    for frame in frames:
        if frame is not own:
            shown += [f"  {paint(each, _DIM)}" for each in _split(frame, root)]
    return shown


def _read_record(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = parse_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _format_metrics(record: Mapping[str, Any]) -> list[str]:
    if "DurationMs" not in record:
        return []
    run, code = str(record.get("run", ""))[:8], record.get("Code", "")
    return [_escape(f"run {run} {code}, {record['DurationMs']:.0f} ms")]


def _find_own_frame(frames: Sequence[Any], root: Path) -> str | None:
    """The innermost frame in the project that is no machinery of it."""
    for frame in reversed(frames):
        found = _FRAME.match(str(frame))
        if found is None:
            continue
        path = Path(found["path"])
        if not path.is_relative_to(root) or path.is_relative_to(sys.prefix):
            continue
        if path.relative_to(root).parts[0] not in _MACHINERY:
            return str(frame)
    return None


def _split(frame: object, root: Path) -> list[str]:
    text = str(frame).rstrip("\n").replace(f'"{root}/', '"')
    return [_escape(line) for line in text.split("\n")]


def _escape(text: object) -> str:
    """`text` with nothing in it that a terminal obeys."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text)
    )
