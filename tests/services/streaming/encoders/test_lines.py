"""A payload on one line means what it meant."""

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from services.streaming.encoders.lines import one_line


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_json_stays_the_same_value_and_is_one_line(text: str) -> None:
    """To a reader that splits text as Unicode does, and to one that reads JSON."""
    line = one_line(to_json({text: text}))
    assert json.loads(line) == {text: text}
    assert line.decode().splitlines() == [line.decode()]


def test_what_is_one_line_already_is_not_touched() -> None:
    """The common case costs one look."""
    for payload in (b'{"a":"b\\n"}', '{"a":"é😀"}'.encode()):
        assert one_line(payload) == payload
    assert one_line("\u2028\u2029\u0085".encode()) == b"\\u2028\\u2029\\u0085"
