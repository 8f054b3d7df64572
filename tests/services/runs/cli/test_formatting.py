"""What a terminal is shown of a run."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.runs import Entry, Run, Summary
from services.runs.cli.formatting import (
    entry_line,
    escape,
    format_state,
    query_of,
    run_line,
    run_lines,
)


def run(query: str = "What?", lease_until: float = 0.0) -> Run:
    """A run of that question."""
    question = json.dumps({"query": query}).encode()
    return Run(
        id="ab" * 16,
        owner=None,
        created=1000.0,
        fingerprint="f",
        question=question,
        lease_until=lease_until,
    )


def entry(event: dict[str, object], *, terminal: bool = False) -> Entry:
    """An entry of that event."""
    return Entry(1, str(event["type"]), json.dumps(event).encode(), terminal)


def is_harmless(line: str) -> bool:
    """Whether a terminal prints it and does nothing else."""
    return line.isprintable()


@given(st.text(alphabet=st.characters(codec=None)))
def test_nothing_that_was_written_reaches_the_terminal_as_a_command(text: str) -> None:
    """In a question, in a token, in the name of a kind, in an event of no known shape."""
    summary = Summary(run(text), 1, ended=False)
    token = Entry(1, "token", json.dumps({"type": "token", "text": text}).encode())
    odd = Entry(1, text, json.dumps({"type": text, "x": text}).encode())
    raw = Entry(1, "token", text.encode("utf-8", "surrogatepass"))
    for line in (
        run_line(summary, token, 1001.0),
        *run_lines(summary, token, 1001.0),
        *(entry_line(one, 0.5) for one in (token, odd, raw)),
    ):
        assert is_harmless(line)


def test_an_escape_is_spelled_out() -> None:
    """And what turns the direction of writing."""
    assert escape("a\x1b[2Jb\u202ec\n") == "a\\x1b[2Jb\\u202ec\\n"
    assert escape("Zürich 東京 🗼") == "Zürich 東京 🗼"


def test_the_state_is_one_word() -> None:
    """From the last event, or from the lease where there is no end."""
    held, left = Summary(run(lease_until=1010.0), 3, ended=False), Summary(run(), 3, ended=False)
    assert format_state(held, None, 1001.0) == "running"
    assert format_state(left, None, 1001.0) == "paused"
    ends: list[tuple[dict[str, object], str]] = [
        ({"type": "final", "result": {"finishReason": "stop"}}, "completed"),
        ({"type": "final", "result": {"finishReason": "cancelled"}}, "stopped"),
        ({"type": "error", "code": "interrupted"}, "failed: interrupted"),
    ]
    for event, state in ends:
        assert format_state(held, entry(event, terminal=True), 1001.0) == state


def test_a_run_is_a_line_with_its_first_words() -> None:
    """Cut, and its age in one unit."""
    line = run_line(Summary(run("word " * 100), 12, ended=True), None, 1000.0 + 7300)
    assert line.startswith("abababab    2 h  paused")
    assert line.endswith("…")
    assert len(line) < 120


def test_a_question_that_was_not_kept_is_empty() -> None:
    """Or is none."""
    for question in (b"", b"[]", b"null", b'{"query": 7}', b"\xff"):
        kept = Run(id="a", owner=None, created=0.0, fingerprint="f", question=question)
        assert query_of(kept) == ""


def test_every_kind_is_told_in_its_own_words() -> None:
    """What matters of it, with its time."""
    told: list[tuple[dict[str, object], str]] = [
        ({"type": "token", "text": "a\nb"}, '"a\\\\nb"'),
        (
            {"type": "status", "status": {"step": 2, "description": "Look", "status": "failed"}},
            "2. Look (failed)",
        ),
        ({"type": "sources", "sources": [{"title": "A"}, {"title": "B"}]}, "[1] A; [2] B"),
        ({"type": "final", "result": {"finishReason": "stop", "answer": "abc"}}, "stop, 3"),
        ({"type": "error", "code": "internal", "error": "No."}, "internal: No."),
        ({"type": "other", "x": 1}, '"x": 1'),
    ]
    for event, words in told:
        line = entry_line(entry(event), 1.5)
        assert words.replace("\\\\", "\\") in line
        assert "1.500" in line
    assert "1.500" not in entry_line(entry({"type": "other"}), None)
