"""What a fault of a disk means: worth another try, or at fault for good, and told in our words."""

import errno
import sqlite3
from pathlib import Path

import pytest

from services.errors import SetupError
from services.runs import RunLogError
from services.runs.sqlite.faults import (
    translate_error,
    translate_opening_error,
    translate_running_error,
)
from tests.services.runs.disk_faults import make_error

PATH = Path("/data/runs.sqlite")


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_WRITE,
    ],
)
def test_what_may_pass_is_worth_another_try(code: int) -> None:
    """A lock, a full disk, one that is away for a moment."""
    meant = translate_error(make_error(code), PATH)
    assert isinstance(meant, RunLogError)
    assert (meant.code, meant.retryable) == ("overloaded", True)


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN]
)
def test_what_does_not_pass_is_the_installations(code: int) -> None:
    """It names the file."""
    meant = translate_error(make_error(code), PATH)
    assert isinstance(meant, SetupError)
    assert str(PATH) in meant.message


@pytest.mark.parametrize(
    "error",
    [
        make_error(sqlite3.SQLITE_CANTOPEN),
        make_error(sqlite3.SQLITE_PERM),
        make_error(sqlite3.SQLITE_READONLY),
        make_error(sqlite3.SQLITE_NOTADB),
        OSError(errno.EACCES, "Permission denied"),
        SetupError(f"{PATH} is a database of something else."),
    ],
)
def test_what_is_in_the_way_of_a_file_that_was_open_may_be_taken_away(error: Exception) -> None:
    """A client is asked to come back; the operator is told the path, and what to do."""
    meant, fault = translate_running_error(error, PATH)
    assert isinstance(meant, RunLogError)
    assert (meant.code, meant.retryable) == ("overloaded", True)
    assert str(PATH) not in meant.message
    assert str(PATH) in str(fault)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_LOCK])
def test_a_disk_that_shares_no_memory_is_named_when_it_is_opened(code: int) -> None:
    """A folder of the host in a virtual machine, a network's: not a disk that fails."""
    meant = translate_opening_error(make_error(code), PATH)
    assert isinstance(meant, SetupError)
    assert "local disk" in meant.message


@pytest.mark.parametrize(
    "error",
    [
        make_error(sqlite3.SQLITE_FULL),
        make_error(sqlite3.SQLITE_IOERR_WRITE),
        make_error(sqlite3.SQLITE_IOERR_SHMSIZE),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_disk_that_is_full_when_the_file_is_opened_may_have_room_soon(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The client is asked to come back, the operator to make room."""
    meant = translate_opening_error(error, PATH)
    assert (meant.code, meant.retryable) == ("overloaded", True)
    assert str(PATH) not in meant.message
    assert f"The disk that holds {PATH} is full. Make room." in caplog.text
