"""Real processes on one file, some of them killed."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from services.runs import Entry
from services.runs.sqlite.log import SQLiteLog
from services.settings import ROOT

WRITER = """
import asyncio, random, sys
from services.runs import Entry
from services.runs.sqlite.log import SQLiteLog
path, seed = sys.argv[1:]
async def write(log, chance, name):
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    seq = 0
    while True:
        size = chance.choice((1, 1, 2, 5))
        entries = [
            Entry(seq + n, "token", f"{name} {seq + n} ".encode() * chance.randint(1, 300))
            for n in range(1, size + 1)
        ]
        await log.append(run.id, entries)
        seq += size
        print(run.id, seq, flush=True)
async def main():
    log = SQLiteLog(path)
    await asyncio.gather(*(write(log, random.Random(f"{seed} {n}"), n) for n in range(4)))
asyncio.run(main())
"""

STARTER = """
import asyncio, sys
from services.runs.sqlite.log import SQLiteLog
async def main():
    log = SQLiteLog(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    made = await asyncio.gather(*(
        log.start(owner="ann", key=f"k{n % 5}", fingerprint="f") for n in range(20)
    ))
    for n, (run, new) in enumerate(made):
        print(n % 5, run.id, int(new))
    await log.close()
asyncio.run(main())
"""


def kill_writers(path: Path, seed: int, rounds: int) -> None:
    """Let a process write, kill it at a random word of its, look; over and over on one file."""
    chance = random.Random(seed)
    acknowledged: dict[str, int] = {}
    for turn in range(rounds):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"{seed} {turn}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        for _ in range(chance.randint(1, 150)):
            run_id, seq = writer.stdout.readline().split()
            acknowledged[run_id] = int(seq)
        writer.send_signal(signal.SIGKILL)
        # What it said before it died it had been told, whether or not we had read it yet.
        for line in writer.communicate()[0].splitlines():
            if line.count(" ") == 1 and len(line) > 33:
                run_id, seq = line.split()
                acknowledged[run_id] = max(acknowledged.get(run_id, 0), int(seq))
        assert writer.returncode == -signal.SIGKILL
        asyncio.run(all_there(path, acknowledged))


async def all_there(path: Path, acknowledged: dict[str, int]) -> None:
    """Every acknowledged entry is in the file, without a hole, and the next one can be added."""
    log = SQLiteLog(path)
    try:
        assert log._file._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for run_id, seq in acknowledged.items():
            entries = await log.read(run_id, 0, 10_000)
            assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
            assert len(entries) >= seq
            for entry in entries:
                words = entry.payload.split()
                assert words[1::2] == [b"%d" % entry.seq] * (len(words) // 2)
            if not entries[-1].terminal:
                await log.append(
                    run_id, [Entry(len(entries) + 1, "token", b"0 %d" % (len(entries) + 1))]
                )
    finally:
        await log.close()


def test_a_killed_process_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Killed at a random word of its, eight times over."""
    kill_writers(tmp_path / "runs.sqlite", random.randrange(10**6), 8)


@pytest.mark.soak
def test_a_hundred_killed_processes_lose_nothing(tmp_path: Path) -> None:
    """On one file."""
    kill_writers(tmp_path / "runs.sqlite", 1, 100)


def test_processes_with_one_key_start_one_run(tmp_path: Path) -> None:
    """Four processes, five keys, eighty starts at the same moment."""
    path = tmp_path / "runs.sqlite"
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()
    made = [line.split() for starter in starters for line in starter.communicate()[0].splitlines()]
    assert len(made) == 80
    assert len({run_id for _, run_id, _ in made}) == 5
    assert sorted(key for key, _, new in made if new == "1") == ["0", "1", "2", "3", "4"]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM runs").fetchone() == (5,)
