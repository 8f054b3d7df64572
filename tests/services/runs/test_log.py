"""What is the same for every store: ids, entries, and which store a setting names."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import SetupError
from services.runs import Entry, SequenceConflictError, new_id, open_log
from services.runs.dynamodb.log import DynamoLog
from services.runs.log import LAST_SEQ, check_next
from services.runs.memory import MemoryLog
from services.runs.opening import STORES
from services.runs.sqlite.log import SQLiteLog
from services.settings import LOG_SCHEMES, Settings, read_settings


def test_an_id_is_128_random_bits() -> None:
    """Every one of them changes, and no two ids are alike."""
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert {len(name) for name in ids} == {32}
    numbers = [int(name, 16) for name in ids]
    for bit in range(128):
        assert 0 < sum(number >> bit & 1 for number in numbers) < len(numbers)


def test_every_scheme_of_the_settings_has_a_store() -> None:
    """And every store has a scheme."""
    assert {f"{name}://" for name in STORES} == set(LOG_SCHEMES)


def test_a_setting_names_its_store() -> None:
    """Settings made in code name the memory; an unknown scheme is refused."""
    assert isinstance(open_log(Settings()), MemoryLog)
    with pytest.raises(KeyError):
        open_log(Settings(log="other://x"))


@pytest.mark.anyio
async def test_sqlite_is_where_it_is_told_to_be(tmp_path: Path) -> None:
    """At an absolute path, or in the data directory."""
    settings = Settings(data_dir=tmp_path / "data")
    for name, path in (
        (f"sqlite://{tmp_path}/a b?c#d.db", tmp_path / "a b?c#d.db"),
        ("sqlite://", tmp_path / "data" / "runs.sqlite"),
    ):
        log = open_log(replace(settings, log=name))
        assert isinstance(log, SQLiteLog)
        assert path.exists()
        await log.close()
    with pytest.raises(SetupError, match="absolute path"):
        open_log(replace(settings, log="sqlite://runs.sqlite"))


@pytest.mark.anyio
async def test_dynamodb_needs_the_name_of_a_table() -> None:
    """One that a table can have; it is not looked for before it is needed."""
    log = open_log(Settings(log="dynamodb://My_runs-1.x"))
    assert isinstance(log, DynamoLog)
    await log.close()
    for wrong in ("", "ab", "a/b/c", "x" * 256, "runs?region=x"):
        with pytest.raises(SetupError, match="does not name a table"):
            open_log(Settings(log=f"dynamodb://{wrong}"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("log", "default"),
    [("memory://", 3600.0), ("sqlite://", 86400.0), ("dynamodb://runs", 86400.0)],
)
async def test_runs_are_kept_for_as_long_as_was_set(
    tmp_path: Path, log: str, default: float
) -> None:
    """An hour in memory and a day elsewhere, where nothing was set."""
    for keep, kept in ((None, default), (60.0, 60.0)):
        opened = open_log(Settings(log=log, retention_seconds=keep, data_dir=tmp_path))
        records: Any = getattr(opened, "_records", opened)
        assert records._retention == kept  # every store's own
        await opened.close()


def test_an_entry_goes_on_unless_it_says_otherwise() -> None:
    """It is a tuple: what was written cannot be changed."""
    entry = Entry(1, "token", b"{}")
    assert not entry.terminal
    with pytest.raises(AttributeError):
        entry.seq = 2  # type: ignore[misc]  # on purpose


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=6), st.integers(0, 5))
def test_what_goes_on_is_what_a_slow_reading_says(
    given_entries: list[tuple[int, bool]], last: int
) -> None:
    """One after the other, each the next number, and nothing after an end."""
    entries = [Entry(seq, "token", b"", terminal) for seq, terminal in given_entries]
    numbers = [entry.seq for entry in entries] == [last + n for n in range(1, len(entries) + 1)]
    ends = [entry.terminal for entry in entries]
    if numbers and not any(ends[:-1]):
        check_next(entries, last, ended=False)
    else:
        with pytest.raises(SequenceConflictError):
            check_next(entries, last, ended=False)
    if entries:
        with pytest.raises(SequenceConflictError):
            check_next(entries, last, ended=True)


def test_numbers_have_an_end() -> None:
    """A cursor has a width in every store."""
    check_next([Entry(LAST_SEQ, "token", b"")], LAST_SEQ - 1, ended=False)
    with pytest.raises(SequenceConflictError):
        check_next([Entry(LAST_SEQ + 1, "token", b"")], LAST_SEQ, ended=False)


def test_keep_is_seconds() -> None:
    """Nothing set is the store's own choice."""
    assert read_settings({}).retention_seconds is None
    assert read_settings({"RIVERRUN_RETENTION_SECONDS": "90.5"}).retention_seconds == 90.5
    for wrong in ("0", "-1", "a day", "inf", "nan"):
        with pytest.raises(SetupError, match="RIVERRUN_RETENTION_SECONDS"):
            read_settings({"RIVERRUN_RETENTION_SECONDS": wrong})
