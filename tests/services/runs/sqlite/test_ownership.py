"""What an owner has deleted is out of the file."""

from functools import partial
from pathlib import Path

import pytest

from services.runs import UnknownRunError
from services.runs.sqlite.log import SQLiteLog
from tests.services.runs.conformance import Clock, final, token

pytestmark = pytest.mark.anyio

SECRET = b"what is for no reader any more"


async def test_what_was_deleted_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    """Not in its free pages either: a question, an answer, feedback and a turn of a session."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path)
    kept, _ = await log.start(owner="ann", key=None, fingerprint="f", question=b"stays")
    run, _ = await log.start(owner="ann", key="k", fingerprint="f", question=SECRET, session="s")
    await log.append(run.id, [token(n, SECRET * 20) for n in range(1, 40)])
    await log.append(run.id, [final(40)])
    await log.keep_feedback(run.id, SECRET)
    await log.add_turn("ann", "s", SECRET.decode(), SECRET.decode() * 200)
    await log.close()
    assert SECRET in path.read_bytes()
    log = SQLiteLog(path)
    assert await log.delete(run.id, "ann")
    assert await log.forget_turns("ann", "s")
    assert await log.find(kept.id, "ann") == kept
    await log.close()
    assert SECRET not in path.read_bytes()
    assert b"stays" in path.read_bytes()


async def test_a_file_of_an_older_version_gets_what_it_lacks(tmp_path: Path) -> None:
    """The runs that are in it are listed and deleted like new ones; their session is not known."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path)
    run, _ = await log.start(owner="ann", key=None, fingerprint="f")
    await log.append(run.id, [final(1)])
    await log._file.write(lambda file: file.execute("DROP TABLE run_sessions"))
    await log._file.write(lambda file: file.execute("DROP INDEX runs_of_an_owner"))
    await log.close()
    log = SQLiteLog(path)
    assert [each.run for each in await log.list_owned("ann")] == [run]
    assert await log.list_session("ann", "s") == []
    assert await log.delete(run.id, "ann")
    assert await log.list_owned("ann") == []
    await log.close()


async def test_a_foreign_run_takes_the_same_statements_as_a_missing_one(tmp_path: Path) -> None:
    """So that no clock tells one from the other; a time would be the machine's."""
    clock = Clock()  # no upkeep falls between
    log = SQLiteLog(tmp_path / "runs.sqlite", now=clock, monotonic=clock)
    live, _ = await log.start(owner="ann", key=None, fingerprint="f", session="s")
    ended, _ = await log.start(owner="ann", key=None, fingerprint="f", session="s")
    await log.append(ended.id, [final(1)])
    await log.add_turn("ann", "s", "question", "answer")
    statements: list[str] = []

    def note(statement: str) -> None:
        statements.append(statement.replace(live.id, "ID").replace(ended.id, "ID"))

    await log._file.read(lambda file: file.set_trace_callback(note))
    seen = []
    for method in (log.find, log.delete):
        for asked in (live.id, ended.id, "ID"):
            statements.clear()
            with pytest.raises(UnknownRunError):
                await method(asked, "bob")
            seen.append(list(statements))
    for ask in (log.list_session, log.forget_turns, partial(log.read_turns, limit=1)):
        for session in ("s", "t"):
            statements.clear()
            assert not await ask("bob", session)
            seen.append([each.replace(f"'{session}'", "SESSION") for each in statements])
    assert seen[0] == seen[1] == seen[2] != []
    assert seen[3] == seen[4] == seen[5] != []
    assert seen[6] == seen[7] != []
    assert seen[8] == seen[9] != []
    assert seen[10] == seen[11] != []
    await log.close()
