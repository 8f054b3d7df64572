"""What an owner has deleted is out of the file."""

from pathlib import Path

import pytest

from services.runs.sqlite.log import SQLiteLog
from tests.services.runs.conformance import final, token

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
