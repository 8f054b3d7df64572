"""The JSON file behind ``RIVERRUN_CHAT=scripted``, read once and read strictly.

A script is a list of entries; the first whose `when` occurs in the question is played::

    [{"when": "tokyo", "steps": [{"text": "Hello "}, {"waitMs": 500}, {"text": "Tokyo."}]},
     {"when": "*",     "steps": [{"error": "ThrottlingException"}]}]

===========================================  =================================================
step                                         what happens
===========================================  =================================================
``{"text": "...", "repeat": 1}``             one piece, exactly as written; `repeat` times
``{"waitMs": 500}``                          nothing, for so long
``{"usage": {"inputTokens": 9, ...}}``       `inputTokens`, `outputTokens`, perhaps `costUsd`
``{"stop": "length"}``                       the answer ends: "stop" or "length"
``{"error": "...", "retryAfterMs": 1000}``   a failure of `provider_errors`
``{"hang": true}``                           nothing, until the reader gives up
``{"endWithoutStop": true}``                 the answer ends as a cut connection does
===========================================  =================================================

An answer that runs out of steps ends with "stop". A slip in a script would make the test that
uses it prove nothing, so every unknown key, wrong type and stray value is a `SetupError` that
names file, entry and step, counted from 1.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, get_args

from ...errors import SetupError
from ...json_input import DepthError, parse_json
from ..provider import ModelUsage, Stop, StopReason
from ..provider_errors import is_error_name, list_error_names
from .script import (
    BreakOffStep,
    FailStep,
    HangStep,
    SayStep,
    Script,
    ScriptEntry,
    ScriptStep,
    SpendStep,
    WaitStep,
)

LONGEST_WAIT_MS = 3_600_000
MOST_REPEATS = 1_000_000


def read_script(path: Path) -> Script:
    """Read the script at `path`. Raises `SetupError` that says where it is wrong."""
    try:
        # Editors on Windows begin UTF-8 with a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SetupError(
            f"The script {path} cannot be read ({error.strerror or 'no reason given'}). "
            "RIVERRUN_SCRIPT is the path of a JSON script."
        ) from error
    except UnicodeDecodeError as error:
        raise SetupError(
            f"The script {path} is not UTF-8 (byte {error.start}). Save it as UTF-8."
        ) from error
    try:
        value = parse_json(text, object_pairs_hook=_build_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise SetupError(
            f"The script {path} is not JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}."
        ) from error
    except ValueError as error:
        is_plain = isinstance(error, _SlipError | DepthError)
        reason = str(error) if is_plain else "a number in it is too long"
        raise SetupError(f"The script {path} is not usable: {reason}.") from error
    return parse_script(value, name=str(path))


def parse_script(value: object, *, name: str = "the script") -> Script:
    """Turn parsed JSON into a `Script`; `name` is what errors call it. Raises `SetupError`."""
    if not isinstance(value, list):
        raise SetupError(
            f'{name}: a script is a list of {{"when": ..., "steps": [...]}}, '
            f"not {_describe_kind(value)}."
        )
    entries = []
    for number, item in enumerate(value, 1):
        where = f"{name}, entry {number}"
        try:
            entries.append(_parse_entry(item, where))
        except _SlipError as slip:
            raise SetupError(f"{where}: {slip}.") from slip
    return Script(tuple(entries))


class _SlipError(ValueError):
    """What is wrong, in words; the caller adds where."""


def _parse_entry(item: object, where: str) -> ScriptEntry:
    if not isinstance(item, dict):
        _raise_slip(f'an entry is {{"when": ..., "steps": [...]}}, not {_describe_kind(item)}')
    _refuse_unknown_keys(item, ("when", "steps"))
    for key in ("when", "steps"):
        if key not in item:
            _raise_slip(f'"{key}" is missing')
    when = _require_string(item["when"], "when")
    if not when.strip():
        _raise_slip('"when" is blank; use "*" for every question')
    if not isinstance(item["steps"], list):
        _raise_slip(f'"steps" is a list, not {_describe_kind(item["steps"])}')
    steps = []
    for number, step in enumerate(item["steps"], 1):
        try:
            steps.append(_parse_step(step))
        except _SlipError as slip:
            raise SetupError(f"{where}, step {number}: {slip}.") from slip
    return ScriptEntry(when, tuple(steps))


def _parse_step(item: object) -> ScriptStep:
    if not isinstance(item, dict):
        _raise_slip(f'a step is an object such as {{"text": "..."}}, not {_describe_kind(item)}')
    named = [key for key in item if key in STEPS]
    if len(named) > 1:
        _raise_slip(f"a step does one thing, this one has {' and '.join(_quote(named))}")
    if not named:
        unknown = f", not {', '.join(_quote(item))}" if item else ""
        _raise_slip(f"a step is one of {', '.join(_quote(STEPS))}{unknown}")
    build, extras = STEPS[named[0]]
    _refuse_unknown_keys(item, (named[0], *extras))
    return build(item)


def _parse_say(item: dict[str, Any]) -> ScriptStep:
    times = _require_integer(item.get("repeat", 1), "repeat", low=1, high=MOST_REPEATS)
    return SayStep(_require_string(item["text"], "text"), times)


def _parse_wait(item: dict[str, Any]) -> ScriptStep:
    return WaitStep(_require_number(item["waitMs"], "waitMs", high=LONGEST_WAIT_MS) / 1000)


def _parse_fail(item: dict[str, Any]) -> ScriptStep:
    name = _require_string(item["error"], "error")
    if not is_error_name(name):
        _raise_slip(f'"error": {name!r} is not known. Use one of: {", ".join(list_error_names())}')
    after = item.get("retryAfterMs")
    if after is None:
        return FailStep(name)
    return FailStep(name, _require_integer(after, "retryAfterMs", low=0, high=LONGEST_WAIT_MS))


def _parse_hang(item: dict[str, Any]) -> ScriptStep:
    _require_true(item["hang"], "hang")
    return HangStep()


def _parse_break_off(item: dict[str, Any]) -> ScriptStep:
    _require_true(item["endWithoutStop"], "endWithoutStop")
    return BreakOffStep()


def _parse_spend(item: dict[str, Any]) -> ScriptStep:
    usage = item["usage"]
    if not isinstance(usage, dict):
        _raise_slip(
            f'"usage" is {{"inputTokens": 0, "outputTokens": 0}}, not {_describe_kind(usage)}'
        )
    _refuse_unknown_keys(usage, ("inputTokens", "outputTokens", "costUsd"))
    cost = usage.get("costUsd")
    return SpendStep(
        ModelUsage(
            input_tokens=_require_integer(usage.get("inputTokens", 0), "inputTokens", low=0),
            output_tokens=_require_integer(usage.get("outputTokens", 0), "outputTokens", low=0),
            cost_usd=None if cost is None else _require_number(cost, "costUsd"),
        )
    )


def _parse_stop(item: dict[str, Any]) -> ScriptStep:
    reasons: dict[object, StopReason] = {reason: reason for reason in get_args(StopReason)}
    reason = _require_string(item["stop"], "stop")
    if reason not in reasons:
        _raise_slip(f'"stop" is {" or ".join(_quote(get_args(StopReason)))}, not {reason!r}')
    return Stop(reasons[reason])


STEPS: dict[str, tuple[Callable[[dict[str, Any]], ScriptStep], tuple[str, ...]]] = {
    "text": (_parse_say, ("repeat",)),
    "waitMs": (_parse_wait, ()),
    "error": (_parse_fail, ("retryAfterMs",)),
    "hang": (_parse_hang, ()),
    "endWithoutStop": (_parse_break_off, ()),
    "usage": (_parse_spend, ()),
    "stop": (_parse_stop, ()),
}
"""Every step by its key, with the keys it may bring along."""


def _require_string(value: object, key: str) -> str:
    if not isinstance(value, str):
        _raise_slip(f'"{key}" is a string, not {_describe_kind(value)}')
    try:
        value.encode()
    except UnicodeEncodeError:
        _raise_slip(f'"{key}" holds half a surrogate pair, which no stream can carry')
    return value


def _require_integer(value: object, key: str, *, low: int, high: int | None = None) -> int:
    # True is an int to Python; no one means it.
    if isinstance(value, bool) or not isinstance(value, int):
        _raise_slip(f'"{key}" is a whole number, not {_describe_kind(value)}')
    if value < low or (high is not None and value > high):
        _raise_slip(f'"{key}" is {_format_range(low, high)}, not {value}')
    return value


def _require_number(value: object, key: str, *, high: int | None = None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _raise_slip(f'"{key}" is a number, not {_describe_kind(value)}')
    # 1e999 is infinite to Python's parser, and an integer may be too long for a float.
    if not 0 <= value <= (1e15 if high is None else high) or not math.isfinite(value):
        _raise_slip(f'"{key}" is {_format_range(0, high)}')
    return float(value)


def _format_range(low: int, high: int | None) -> str:
    return f"at least {low}" if high is None else f"from {low} to {high}"


def _require_true(value: object, key: str) -> None:
    if value is not True:
        _raise_slip(f'"{key}" is true; leave the step out otherwise')


def _refuse_unknown_keys(item: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = [key for key in item if key not in known]
    if unknown:
        _raise_slip(
            f"{', '.join(_quote(unknown))} is not known here; only {', '.join(_quote(known))}"
        )


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    if twice:
        _raise_slip(f"{', '.join(_quote(twice))} is written twice in one object")
    return dict(pairs)


def _refuse_constant(text: str) -> NoReturn:
    _raise_slip(f"{text} is not JSON")


def _raise_slip(reason: str) -> NoReturn:
    raise _SlipError(reason)


def _quote(keys: Iterable[str]) -> list[str]:
    return [f'"{key}"' for key in keys]


def _describe_kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")
