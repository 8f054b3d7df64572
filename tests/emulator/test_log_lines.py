"""The log of functions for a person: records, exceptions, metrics."""

import json
import traceback
from pathlib import Path

from emulator.log_lines import format_line

ROOT = Path("/project")


def frame(path: str, name: str) -> str:
    """A frame as Python formats it."""
    return "".join(traceback.format_list([(path, 7, name, f"{name}()")]))


def test_an_exception_shows_the_frame_of_ones_own_code_first() -> None:
    """The machinery around it, and the library that it called, come after."""
    frames = [
        frame("/project/services/streaming/run/channel.py", "run"),
        frame("/project/functions/echo.py", "echo"),
        frame("/usr/lib/python3.12/json/decoder.py", "decode"),
    ]
    record = {
        "level": "ERROR",
        "message": "Run 1 failed.",
        "errorType": "ValueError",
        "errorMessage": "no\x1b[2J",
        "stackTrace": frames,
    }
    shown = format_line(json.dumps(record), ROOT)
    assert shown[:2] == ["ERROR Run 1 failed.", "  ValueError: no\\x1b[2J"]
    assert shown[2] == '    File "functions/echo.py", line 7, in echo'
    assert shown[4] == '    File "services/streaming/run/channel.py", line 7, in run'
    assert len(shown) == 8
    coloured = format_line(json.dumps(record), ROOT, coloured=True)
    assert coloured[0] == "\x1b[31mERROR\x1b[0m Run 1 failed."
    assert coloured[2].startswith("  \x1b[1m")


def test_metrics_of_a_run_are_one_short_line() -> None:
    """Those of refusals are none."""
    metrics = {"_aws": {}, "Code": "ok", "DurationMs": 812.4, "run": "3f9a0000111122"}
    assert format_line(json.dumps(metrics), ROOT) == ["run 3f9a0000 ok, 812 ms"]
    assert format_line(json.dumps({"_aws": {}, "Refused": 1}), ROOT) == []


def test_what_is_no_record_stands_as_it_was_written() -> None:
    """Text, other JSON, and what only begins like it."""
    for line in ("hello", "{not json", '{"type":"platform.report"}', "[1]", '{"level":1}'):
        assert format_line(line, ROOT) == [line]
    assert format_line('{"level":"INFO","message":"Ready."}', ROOT) == ["INFO Ready."]
