"""`make runs`: list, show, export."""

import asyncio
import json
from pathlib import Path

import pytest

from services.runs import Entry
from services.runs.cli.__main__ import main
from services.runs.recordings import read_recording
from services.runs.sqlite.log import SQLiteLog
from tests.services.runs.conformance import Clock


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two runs in a file, the older one ended; their ids."""
    monkeypatch.setenv("RIVERRUN_LOG", f"sqlite://{tmp_path}/runs.sqlite")

    async def write() -> list[str]:
        clock = Clock()
        log = SQLiteLog(tmp_path / "runs.sqlite", now=clock, monotonic=clock, retention=1e9)
        ids = []
        for number in (1, 2):
            question = json.dumps({"query": f"Question {number}?\x1b[2J", "sessionId": "s"})
            run, _ = await log.start(
                owner="ann", key=None, fingerprint="f", question=question.encode()
            )
            clock.seconds += 0.25
            tokens = [
                b'{"type":"token","text":"\\u001b]0;x\\u0007"}',
                b'{"type":"token","text":"b"}',
            ]
            await log.append(run.id, [Entry(n, "token", text) for n, text in enumerate(tokens, 1)])
            ids.append(run.id)
        clock.seconds += 1.0
        end = b'{"type":"final","result":{"answer":"b","finishReason":"stop"}}'
        await log.append(ids[0], [Entry(3, "final", end, terminal=True)])
        await log.close()
        return ids

    return asyncio.run(write())


def test_runs_are_listed_newest_first(
    two_runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each in a line, of every owner, with nothing in it that a terminal obeys."""
    assert main([]) == 0
    heading, newer, older = capsys.readouterr().out.splitlines()
    assert "question" in heading
    assert newer.startswith(two_runs[1][:8])
    assert "Question 2?\\x1b[2J" in newer
    assert "completed" in older
    assert main(["--limit", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_a_reader_thought_is_listed(
    two_runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sign in the list, the word in the run; neither is a terminal's to obey."""

    async def rate() -> None:
        log = SQLiteLog(tmp_path / "runs.sqlite", now=Clock(), retention=1e9)
        said = json.dumps({"rating": "down", "comment": "Out of date.\x1b[2J"})
        await log.keep_feedback(two_runs[0], said.encode())
        await log.close()

    asyncio.run(rate())
    assert main([]) == 0
    _, newer, older = capsys.readouterr().out.splitlines()
    assert "  -  Question 1?" in older
    assert "     Question 2?" in newer
    assert main([two_runs[0]]) == 0
    assert "feedback  - Out of date.\\x1b[2J" in capsys.readouterr().out


def test_one_is_shown_by_the_beginning_of_its_id(
    two_runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its events with their times, spelled out."""
    assert main([two_runs[0][:12].upper()]) == 0
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert "\\x1b" in shown
    times = [line.split()[1] for line in shown.splitlines()[5:]]
    assert times == ["0.250", "0.250", "1.500"]


def test_a_beginning_of_none_or_of_several_is_told(
    two_runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, and nothing is shown."""
    for beginning in ("", "zz", "zz\x1b"):
        assert main([beginning]) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert len(told.err.splitlines()) == 1
        assert "\x1b" not in told.err


def test_an_export_is_a_recording(
    two_runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its timing; without its owner and its session."""
    path = tmp_path / "one.ndjson"
    assert main([two_runs[0], "--export", str(path)]) == 0
    recording = read_recording(path)
    assert recording.run_id == two_runs[0]
    assert [seconds for seconds, _ in recording.entries] == [0.25, 0.25, 1.5]
    assert [entry.terminal for _, entry in recording.entries] == [False, False, True]
    assert b"ann" not in path.read_bytes()
    assert b"sessionId" not in path.read_bytes()
    assert main([two_runs[1], "--export", str(path)]) == 0
    assert "interrupted" in capsys.readouterr().out
    assert [one.name for one in tmp_path.iterdir() if "partial" in one.name] == []


def test_what_cannot_be_done_is_told_in_a_line(
    two_runs: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file that cannot be written, no run to export, a log that is in no file."""
    assert main([two_runs[0], "--export", str(tmp_path / "no" / "where")]) == 1
    assert "Cannot write" in capsys.readouterr().err
    assert main(["--export", str(tmp_path / "x")]) == 2
    monkeypatch.setenv("RIVERRUN_LOG", "memory://")
    assert main([]) == 1
    assert "memory" in capsys.readouterr().err


def test_an_empty_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no fault."""
    monkeypatch.setenv("RIVERRUN_LOG", f"sqlite://{tmp_path}/new.sqlite")
    assert main([]) == 0
    assert capsys.readouterr().out == "No runs yet.\n"
