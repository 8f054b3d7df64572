"""A record of an error has what is behind it: bounded, on one line, whatever its text is."""

import json
import logging
from itertools import pairwise

from services.lambda_runtime.logs import MAX_CAUSE_LENGTH, MAX_CAUSES, JsonLines


def format_error(error: BaseException) -> dict[str, object]:
    """The record of `error`, as one line of JSON."""
    record = logging.LogRecord("riverrun", logging.WARNING, "x.py", 1, "It failed.", (), None)
    record.exc_info = (type(error), error, error.__traceback__)
    line = JsonLines().format(record)
    assert "\n" not in line
    line.encode()
    value: dict[str, object] = json.loads(line)
    return value


def chain(*errors: BaseException) -> BaseException:
    """The first of `errors`, caused by the next one, and so on."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def test_the_causes_of_an_error_are_in_its_record() -> None:
    """The nearest first; an error without any has none."""
    record = format_error(
        chain(RuntimeError("told"), ValueError("429: slow\ndown"), OSError("cut"))
    )
    assert record["errorMessage"] == "told"
    assert record["causes"] == [
        {"errorType": "ValueError", "errorMessage": "429: slow\ndown"},
        {"errorType": "OSError", "errorMessage": "cut"},
    ]
    assert "causes" not in format_error(RuntimeError("alone"))


def test_what_was_raised_while_another_error_was_handled_counts_too() -> None:
    """Unless the code said that it does not; of a group the first one counts."""
    error = RuntimeError("told")
    error.__context__ = ExceptionGroup("two", [ValueError("one"), ValueError("other")])
    messages = [cause["errorMessage"] for cause in format_error(error)["causes"]]  # type: ignore[attr-defined]
    assert messages == ["two (2 sub-exceptions)", "one"]
    error.__suppress_context__ = True
    assert "causes" not in format_error(error)


def test_a_chain_is_bounded_in_every_direction() -> None:
    """Many errors, long texts, a circle, and half a character."""
    many = [ValueError("x" * 5000 + "\ud83d") for _ in range(50)]
    causes = format_error(chain(*many))["causes"]
    assert isinstance(causes, list)
    assert len(causes) == MAX_CAUSES
    assert {len(cause["errorMessage"]) for cause in causes} == {MAX_CAUSE_LENGTH}
    one, other = ValueError("\ud83d"), ValueError("b")
    circle = format_error(chain(one, other, one))
    assert len(circle["causes"]) == 1  # type: ignore[arg-type]
