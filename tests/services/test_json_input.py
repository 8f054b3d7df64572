"""JSON from outside is read to a depth of ours, the same on every Python."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.cloudformation import EmulatorSetupError
from emulator.faults import parse_faults
from services.chat.prices import read_prices
from services.chat.providers.script_file import read_script
from services.context.index.manifest import parse_manifest
from services.errors import SetupError
from services.json_input import MAX_DEPTH, DepthError, parse_json
from services.runs.recordings import read_recording
from services.streaming.http.body import RequestError, parse_object

ROOT = Path(__file__).parents[2]
COPIES = (
    "services/json_input.py",
    "services/lambda_runtime/json_input.py",
    "emulator/json_input.py",
    "clients/python/riverrun_client/json_input.py",
)
# One level over the bound; what Python 3.11 gives up at and 3.14 reads; what every one gives up at.
DEPTHS = (MAX_DEPTH + 1, 10_000, 1_000_000)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def nest(depth: int, inner: str = "1") -> str:
    return (
        '{"a":[' * (depth // 2)
        + "[" * (depth % 2)
        + inner
        + "]" * (depth % 2)
        + "]}" * (depth // 2)
    )


@settings(max_examples=40)
@given(JSON_VALUES, st.integers(0, MAX_DEPTH + 20))
def test_a_value_is_read_to_the_bound_and_not_beyond(value: Any, around: int) -> None:
    text = json.dumps(value)
    for read in (text, text.encode(), bytearray(text, "utf-16")):
        assert parse_json(read) == value
    deep = nest(around, json.dumps('[{"\\'))
    if around <= MAX_DEPTH:
        assert parse_json(deep) == json.loads(deep)
    else:
        with pytest.raises(DepthError, match=f"more than {MAX_DEPTH} levels"):
            parse_json(deep)


def test_brackets_in_strings_are_no_levels() -> None:
    words = ['[{"\\' * 3 * MAX_DEPTH, "\\" * 7]
    assert parse_json(json.dumps(words)) == words
    assert parse_json("[" + "[]," * 1_000 + "{}]") == [[]] * 1_000 + [{}]


@pytest.mark.parametrize("text", ['"' * 300_000, '"\\' * 300_000, "[" * 300_000, "]" * 300_000])
def test_text_that_is_not_json_is_refused_in_linear_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"column|levels"):
        parse_json("[" * (MAX_DEPTH - 1) + "]" * MAX_DEPTH + "{}" * MAX_DEPTH + text)


def test_the_copies_of_the_parser_are_one() -> None:
    def strip_limit(path: str) -> str:
        text = (ROOT / path).read_text("utf-8").split('"""\n', 1)[1]
        return re.sub(r"(# .*\n)+MAX_DEPTH = \d+\n", "", text)

    assert {strip_limit(path) for path in COPIES} == {strip_limit(COPIES[0])}


def test_no_module_reads_json_past_the_parser() -> None:
    offenders = [
        path
        for folder in ("services", "emulator", "clients/python/riverrun_client")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"json\.loads?\(", path.read_text("utf-8"))
    ]
    assert {str(path.relative_to(ROOT)) for path in offenders} == set(COPIES)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_deep_request_body_is_invalid_json(depth: int) -> None:
    with pytest.raises(RequestError) as caught:
        parse_object(('{"metadata":' + nest(depth) + "}").encode())
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_deep_file_gets_one_line(depth: int, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text(nest(depth), "utf-8")
    for read in (read_script, read_prices, read_recording):
        with pytest.raises(SetupError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(SetupError, match="damaged") as caught:
        parse_manifest(path.read_bytes(), tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(EmulatorSetupError) as fault:
        parse_faults(path.read_bytes())
    assert "\n" not in str(fault.value)
