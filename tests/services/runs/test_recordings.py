"""The file of a recording, written and read."""

import json
from pathlib import Path

import pytest

from services.errors import SetupError
from services.runs import Entry, Run, RunLog
from services.runs.memory import MemoryLog
from services.runs.recordings import read_recording, read_recordings, record_lines
from tests.services.runs.conformance import Clock

HEADER = b'{"recording":1,"run":"r","created":1000,"question":{"query":"q"}}\n'
LINE = b'{"seq":1,"at":5,"terminal":false,"event":{"type":"token","text":"a"}}\n'


async def record(log: RunLog, run: Run, path: Path) -> Path:
    """A recording of `run` at `path`."""
    lines = [line async for line in record_lines(log, run)]
    path.write_bytes(b"".join(lines))  # noqa: ASYNC240 - a test may wait for a file
    return path


@pytest.mark.anyio
async def test_a_recording_is_the_run(tmp_path: Path) -> None:
    """Every event, and the time of its append; a clock set back does not turn time around."""
    clock = Clock()
    log = MemoryLog(now=clock, monotonic=clock)
    run, _ = await log.start(owner="ann", key=None, fingerprint="f", question=b'{"query":"q"}')
    texts = ["a", "é🗼\u2028", '"\\\n'] + ["x"] * 400
    entries = [
        Entry(seq, "token", json.dumps({"type": "token", "text": text}).encode())
        for seq, text in enumerate(texts, 1)
    ]
    times: list[float] = []
    for entry, step in zip(entries, [0.5, -0.2, 0.7, *[0.001] * 400], strict=True):
        clock.seconds += step
        await log.append(run.id, [entry])
        times.append(max([*times, clock.seconds - run.created]))
    recording = read_recording(await record(log, run, tmp_path / "r.ndjson"))
    assert (recording.run_id, recording.query) == (run.id, "q")
    said = [json.loads(entry.payload)["text"] for _, entry in recording.entries]
    assert said == texts
    assert [at for at, _ in recording.entries] == pytest.approx(times, abs=0.002)


@pytest.mark.anyio
async def test_a_run_without_times_is_recorded_all_the_same(tmp_path: Path) -> None:
    """An older store took none for some of it."""
    log = MemoryLog(now=(clock := Clock()))
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    for seq in (1, 2, 3):
        clock.seconds += 1
        await log.append(run.id, [Entry(seq, "token", b'{"type":"token","text":"x"}')])
    for kept, expected in (([], [0, 0, 0]), ([1], [0, 2, 2]), ([0, 2], [1, 3, 3])):
        times = log._records.running[run.id].appended
        log._records.running[run.id].appended = [times[index] for index in kept]
        recording = read_recording(await record(log, run, tmp_path / "r.ndjson"))
        log._records.running[run.id].appended = times
        assert len(recording.entries) == 3
        assert [at for at, _ in recording.entries][-1] == expected[-1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"[]\n",
        b'{"run":"r"}\n',
        b'{"recording":2,"run":"r","created":1,"question":null}\n',
        HEADER + b"\n",
        HEADER + LINE + LINE,
        HEADER + LINE.replace(b'"seq":1', b'"seq":2'),
        HEADER + LINE.replace(b'"at":5', b'"at":-5'),
        HEADER + LINE.replace(b'"at":5', b'"at":NaN'),
        HEADER + LINE.replace(b"false", b"true") + LINE.replace(b'"seq":1', b'"seq":2'),
        HEADER + LINE.replace(b'{"type":"token","text":"a"}', b"7"),
        HEADER + LINE[:-10],
        HEADER + b"\xff\xfe\n",
    ],
)
def test_what_is_no_recording_is_told(tmp_path: Path, content: bytes) -> None:
    """With its path, before the first question."""
    path = tmp_path / "r.ndjson"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"r\.ndjson"):
        read_recording(path)


def test_a_folder_holds_recordings_the_newest_first(tmp_path: Path) -> None:
    """One that holds none, and one that is not there, are told."""
    with pytest.raises(SetupError, match="no recording"):
        read_recordings(tmp_path)
    with pytest.raises(SetupError, match="Cannot read"):
        read_recordings(tmp_path / "missing")
    for name, created in (("a", b"1000"), ("b", b"3000"), ("c", b"2000")):
        (tmp_path / f"{name}.ndjson").write_bytes(HEADER.replace(b"1000", created) + LINE)
    (tmp_path / "other.txt").write_text("not one")
    assert [one.created for one in read_recordings(tmp_path)] == [3.0, 2.0, 1.0]
    assert len(read_recordings(tmp_path / "a.ndjson")) == 1
