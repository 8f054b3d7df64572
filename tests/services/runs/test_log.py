"""What is the same for every store: ids, entries, and which store a setting names."""

import pytest

from services.runs import Entry, new_id, open_log
from services.runs.log import STORES
from services.runs.memory import MemoryLog
from services.settings import LOG_SCHEMES, Settings


def test_an_id_is_128_random_bits() -> None:
    """Every one of them changes, and no two ids are alike."""
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert {len(name) for name in ids} == {32}
    numbers = [int(name, 16) for name in ids]
    for bit in range(128):
        assert 0 < sum(number >> bit & 1 for number in numbers) < len(numbers)


def test_every_scheme_of_the_settings_has_a_store() -> None:
    """And the other way round."""
    assert {f"{name}://" for name in STORES} == set(LOG_SCHEMES)


def test_a_setting_names_its_store() -> None:
    """The default is in memory."""
    assert isinstance(open_log(Settings()), MemoryLog)
    with pytest.raises(KeyError):
        open_log(Settings(log="other://x"))


def test_an_entry_goes_on_unless_it_says_otherwise() -> None:
    """It is a tuple: nobody changes what was written."""
    entry = Entry(1, "token", b"{}")
    assert not entry.terminal
    with pytest.raises(AttributeError):
        entry.seq = 2  # type: ignore[misc]  # on purpose
