"""The pauses of the interpreter are shortened for a host that asks, and for no other process."""

import gc
import sys
from collections.abc import Iterator

import pytest

from services import pauses


@pytest.fixture
def process() -> Iterator[None]:
    """Leave this process as it was."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    pauses._answers_left.clear()
    gc.unfreeze()


@pytest.mark.usefixtures("process")
def test_a_host_freezes_what_its_first_answers_loaded_and_no_more() -> None:
    """Later ones have only their own, which would never be freed where it has cycles."""
    gc.unfreeze()
    pauses.note_answer()
    assert gc.get_freeze_count() == 0
    pauses.shorten_pauses()
    assert sys.getswitchinterval() == pytest.approx(pauses.SWITCH_SECONDS)
    for _ in range(pauses.FIRST_ANSWERS):
        gc.unfreeze()
        pauses.note_answer()
        assert gc.get_freeze_count() > 0
    gc.unfreeze()
    pauses.note_answer()
    assert gc.get_freeze_count() == 0
