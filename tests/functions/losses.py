"""What a store may lose, and what becomes of it: answers that had ended, none that is live.

They go with their file where that is removed, and when their time is over. What is lost is kept
here, so that what readers saw of it can be held against it.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from services.runs import Entry, Run, RunLog, UnknownRunError
from services.runs.sqlite.rows import RUN, entry_of, run_of

Found = tuple[Run, list[Entry]]

# What is deleted goes into tables beside: the sweeper of the product deletes, and knows nothing.
_KEEP = """
CREATE TABLE IF NOT EXISTS kept_runs AS SELECT * FROM runs WHERE 0;
CREATE TABLE IF NOT EXISTS kept_entries AS SELECT * FROM entries WHERE 0;
CREATE TRIGGER IF NOT EXISTS keep_runs BEFORE DELETE ON runs BEGIN
  INSERT INTO kept_runs SELECT * FROM runs WHERE number = OLD.number; END;
CREATE TRIGGER IF NOT EXISTS keep_entries BEFORE DELETE ON entries BEGIN
  INSERT INTO kept_entries SELECT * FROM entries WHERE run = OLD.run AND seq = OLD.seq; END;
"""


@dataclass
class Losses:
    """The runs of one SQLite file that are gone from it, or of a table that forgets none."""

    path: Path | None = None
    removed: dict[str, Found] = field(default_factory=dict)

    def keep_deleted(self) -> None:
        """Have the file keep what is deleted from it."""
        assert self.path is not None
        with closing(sqlite3.connect(self.path, timeout=5)) as file:
            file.executescript(_KEEP)

    def remove_files(self, suffixes: tuple[str, ...]) -> bool:
        """Remove files while none is written. Returns False where another program writes them."""
        assert self.path is not None
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=2)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
                ended = _read_runs(file, "runs", "entries", "ended")
            except sqlite3.OperationalError:
                return False
            if "" in suffixes:
                self.removed |= ended
            for suffix in suffixes:
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            file.execute("ROLLBACK")
        return True

    def read_gone(self) -> Mapping[str, Found]:
        """The runs that are gone, and those that are over and not yet deleted."""
        if self.path is None:
            return self.removed
        with closing(sqlite3.connect(self.path, timeout=5)) as file:
            if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'kept_runs'").fetchone():
                return self.removed
            there = _read_runs(file, "runs", "entries", "ended")
            deleted = _read_runs(file, "kept_runs", "kept_entries", "1")
        return {**there, **deleted, **self.removed}


async def find_run(run_id: str, log: RunLog, gone: Mapping[str, Found]) -> Found | None:
    """The run in `log`, else among those that are `gone`."""
    try:
        run = await log.find(run_id, None)
        return run, await log.read(run_id, 0, 100_000)
    except UnknownRunError:
        return gone.get(run_id)


def _read_runs(
    file: sqlite3.Connection, runs: str, entries: str, condition: str
) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for number, *row in file.execute(f"SELECT number, {RUN} FROM {runs} WHERE {condition}"):
        run = run_of(row)
        rows = file.execute(
            f"SELECT seq, kind, payload, terminal FROM {entries} WHERE run = ? ORDER BY seq",
            (number,),
        )
        found[run.id] = (run, [entry_of(each) for each in rows])
    return found
