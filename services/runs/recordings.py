"""Recordings: a run in one file, with its real timing, to keep, send and replay.

The format is in docs/recordings.md: NDJSON, a header line and then one line an entry. Knows runs
and files; what the events mean, and how they are played, is the business of `services.streaming`.
"""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SetupError
from ..json_input import parse_json
from .log import Entry, Run, RunLog

VERSION = 1

# A longer line is no event of ours; a longer file is no answer. In bytes.
LONGEST_LINE = 4 * 1024 * 1024
LONGEST_FILE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded run: what was asked, and its entries, each with its seconds since the start.

    `created` is in epoch seconds. Whether it is whole, the last entry says: it is terminal.
    """

    run_id: str
    created: float
    question: dict[str, Any]
    entries: tuple[tuple[float, Entry], ...]

    @property
    def query(self) -> str:
        """The words of the question, "" when they were not kept."""
        query = self.question.get("query")
        return query if isinstance(query, str) else ""


async def record_lines(log: RunLog, run: Run) -> AsyncGenerator[bytes, None]:
    """The lines of a recording of `run`, as far as it is now.

    Whose run it was is not in it, nor the session it belonged to.
    """
    yield _line(
        {
            "recording": VERSION,
            "run": run.id,
            "created": round(run.created * 1000),
            "question": _public_question(run.question),
        }
    )
    times = iter(await log.read_append_times(run.id))
    last, at, seq = 0, run.created, 0
    while entries := await log.read(run.id, seq):
        for entry in entries:
            seq = entry.seq
            while last < seq:
                # Without a time of its own (a clock set back, an older store) it came with the
                # one before.
                last, then = next(times, (seq, at))
                at = max(at, then)
            yield _line(
                {
                    "seq": seq,
                    "at": round((at - run.created) * 1000),
                    "terminal": entry.terminal,
                    "event": parse_json(entry.payload),
                }
            )


def read_recording(path: Path) -> Recording:
    """The recording in the file at `path`. Raises `SetupError`, with the line, when it is none."""
    number = 1
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise SetupError(f"{path} is too long for a recording.")
        with path.open("rb") as file:
            header = parse_json(file.readline(LONGEST_LINE))
            if header["recording"] != VERSION:
                raise SetupError(
                    f"{path} is a recording of version {header['recording']!r}; this Riverrun "
                    f"reads {VERSION}."
                )
            entries: list[tuple[float, Entry]] = []
            for line in file:
                number += 1
                entries.append(_entry(line, entries))
        return Recording(
            run_id=str(header["run"]),
            created=float(header["created"]) / 1000,
            question=dict(header["question"] or {}),
            entries=tuple(entries),
        )
    except OSError as error:
        raise SetupError(f"Cannot read the recording {path}: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f"{path} is not a recording (line {number}). Make one with: "
            "make runs RUN=id EXPORT=file"
        ) from error


def read_recordings(place: Path) -> tuple[Recording, ...]:
    """The recordings of a file, or of every `.ndjson` of a folder, the newest first."""
    paths = sorted(place.glob("*.ndjson")) if place.is_dir() else [place]
    if not paths:
        raise SetupError(f"There is no recording (*.ndjson) in {place}.")
    found = [read_recording(path) for path in paths]
    return tuple(sorted(found, key=lambda recording: recording.created, reverse=True))


def _public_question(question: bytes) -> Any:
    try:
        kept = parse_json(question)
    except ValueError:
        return None
    if isinstance(kept, dict):
        # Who holds a session's id may go on with it.
        kept.pop("sessionId", None)
        return kept
    return None


def _entry(line: bytes, before: list[tuple[float, Entry]]) -> tuple[float, Entry]:
    value = parse_json(line)
    seq, at, event, terminal = (value[name] for name in ("seq", "at", "event", "terminal"))
    earlier = before[-1][0] if before else 0.0
    if seq != len(before) + 1 or terminal not in (True, False) or len(line) > LONGEST_LINE:
        raise ValueError("a line out of order")
    if before and before[-1][1].terminal:
        raise ValueError("a line after the end")
    seconds = float(at) / 1000
    if not earlier <= seconds < float("inf"):
        raise ValueError("a time out of order")
    payload = _line(event).removesuffix(b"\n")
    return seconds, Entry(seq, str(event["type"]), payload, terminal)


def _line(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"
