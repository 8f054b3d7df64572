"""Scripts are read strictly: a slip names file, entry and step."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chat.provider import ModelUsage, Stop
from services.chat.providers.script import (
    BreakOffStep,
    FailStep,
    HangStep,
    SayStep,
    Script,
    ScriptEntry,
    SpendStep,
    WaitStep,
)
from services.chat.providers.script_file import parse_script, read_script
from services.errors import SetupError


def test_a_script_with_every_step_is_read_as_written(tmp_path: Path) -> None:
    """One golden script, all steps."""
    path = tmp_path / "script.json"
    path.write_text(
        json.dumps(
            [
                {
                    "when": "Tokyo",
                    "steps": [
                        {"text": "Hello "},
                        {"text": "", "repeat": 3},
                        {"waitMs": 500},
                        {"usage": {"inputTokens": 9, "outputTokens": 4, "costUsd": 0.5}},
                        {"usage": {}},
                        {"stop": "length"},
                    ],
                },
                {"when": "*", "steps": [{"error": "throttlingException", "retryAfterMs": 20}]},
                {"when": "?", "steps": [{"hang": True}, {"endWithoutStop": True}]},
                {"when": "empty", "steps": []},
            ]
        )
    )
    assert read_script(path) == Script(
        (
            ScriptEntry(
                "Tokyo",
                (
                    SayStep("Hello "),
                    SayStep("", 3),
                    WaitStep(0.5),
                    SpendStep(ModelUsage(9, 4, 0.5)),
                    SpendStep(ModelUsage(0, 0, None)),
                    Stop("length"),
                ),
            ),
            ScriptEntry("*", (FailStep("throttlingException", 20),)),
            ScriptEntry("?", (HangStep(), BreakOffStep())),
            ScriptEntry("empty", ()),
        )
    )


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    path = tmp_path / "script.json"
    path.write_bytes(b'\xef\xbb\xbf[{"when": "\xc3\xa9", "steps": []}]')
    assert read_script(path).entries[0].when == "é"


FILES = [
    (b"\xff\xfe[", "not UTF-8 .byte 0"),
    (b'[{"when": "*", "steps": [}]', "not JSON: .* line 1, column 26"),
    (b"", "not JSON"),
    (b'[{"when": "*", "when": "a", "steps": []}]', '"when" is written twice'),
    (b'[{"when": "*", "steps": [{"waitMs": NaN}]}]', "NaN is not JSON"),
    (b'[{"when": "*", "steps": [{"waitMs": 1e999}]}]', "entry 1, step 1: .*from 0 to 3600000"),
    (b"[" * 100_000, "nested more than 200 levels deep"),
    (b"[" + b"9" * 5000 + b"]", "a number in it is too long"),
]


@pytest.mark.parametrize(("content", "reason"), FILES)
def test_a_file_that_is_no_script_is_named_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """One line that says which file and what is wrong with it."""
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=reason) as caught:
        read_script(path)
    assert str(path) in caught.value.message


def test_a_missing_file_or_a_directory_is_named(tmp_path: Path) -> None:
    """The message says what RIVERRUN_SCRIPT is for."""
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(SetupError, match=r"cannot be read .*RIVERRUN_SCRIPT"):
            read_script(path)


STEPS: list[tuple[Any, str]] = [
    ({"text": "a", "waitMs": 1}, 'one thing, this one has "text" and "waitMs"'),
    ({"say": "a"}, 'one of "text", .*not "say"'),
    ({"text": "a", "colour": "red"}, '"colour" is not known'),
    ({"hang": True, "repeat": 2}, '"repeat" is not known'),
    ({}, 'one of "text"'),
    ("text", "an object .*not a string"),
    (None, "not null"),
    ({"text": None}, "a string, not null"),
    ({"text": "\ud83d"}, "surrogate"),
    ({"text": "a", "repeat": 0}, "from 1 to"),
    ({"text": "a", "repeat": True}, "whole number, not a boolean"),
    ({"waitMs": -1}, "from 0 to 3600000"),
    ({"waitMs": 10**400}, "from 0 to 3600000"),
    ({"waitMs": True}, "a number, not a boolean"),
    ({"waitMs": "500"}, "a number, not a string"),
    ({"error": "NoSuchException"}, "'NoSuchException' is not known. Use one of: Throttling"),
    ({"error": "THROTTLINGEXCEPTION"}, "is not known"),
    ({"error": "throttlingException", "retryAfterMs": 1.5}, "whole number"),
    ({"hang": False}, '"hang" is true'),
    ({"hang": 1}, '"hang" is true'),
    ({"endWithoutStop": "yes"}, '"endWithoutStop" is true'),
    ({"stop": "content_filtered"}, '"stop" or "length"'),
    ({"stop": ["stop"]}, "a string, not a list"),
    ({"usage": 3}, "not a number"),
    ({"usage": {"tokens": 3}}, '"tokens" is not known'),
    ({"usage": {"inputTokens": -3}}, "at least 0, not -3"),
    ({"usage": {"costUsd": float("inf")}}, "at least 0|from 0"),
]


@pytest.mark.parametrize(("step", "reason"), STEPS)
def test_a_slip_in_a_step_is_named_by_entry_and_step(step: Any, reason: str) -> None:
    """Counted from 1, as one counts lines."""
    script = [{"when": "a", "steps": []}, {"when": "*", "steps": [{"text": "fine"}, step]}]
    with pytest.raises(SetupError, match=reason) as caught:
        parse_script(script, name="fault.json")
    assert caught.value.message.startswith("fault.json, entry 2, step 2: ")


ENTRIES: list[tuple[Any, str]] = [
    ({"steps": []}, '"when" is missing'),
    ({"when": "*"}, '"steps" is missing'),
    ({"when": "", "steps": []}, '"when" is blank'),
    ({"when": 3, "steps": []}, "a string, not a number"),
    ({"when": "*", "steps": {}}, "a list, not an object"),
    ({"when": "*", "steps": [], "else": []}, '"else" is not known'),
    ([], "not a list"),
]


@pytest.mark.parametrize(("entry", "reason"), ENTRIES)
def test_a_slip_in_an_entry_is_named(entry: Any, reason: str) -> None:
    """Unknown keys are slips too."""
    with pytest.raises(SetupError, match=f"entry 1: .*{reason}"):
        parse_script([entry])


KEYS = st.sampled_from(
    ["when", "steps", "text", "waitMs", "error", "hang", "usage", "stop", "repeat", "x"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(
    json_values
    | st.lists(st.fixed_dictionaries({"when": st.text(), "steps": st.lists(json_values)}))
)
def test_any_json_is_a_script_or_a_setup_error(value: object) -> None:
    """Nothing else can come of reading a script."""
    with suppress(SetupError):
        assert isinstance(parse_script(value), Script)
