"""A share of each target with every test, always the same; `make fuzz` goes on from there."""

import random

import pytest

from tests.fuzz.targets import TARGETS, run_target

SHARE = 200


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_read_or_is_refused(name: str) -> None:
    """No other exception, no disagreement."""
    run_target(name, 0, SHARE)


def test_a_seed_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the target, so that it can be run again."""

    def fail(chance: random.Random) -> None:
        assert chance.random() < 0.9

    monkeypatch.setitem(TARGETS, "cursor", fail)
    with pytest.raises(AssertionError, match=r"target cursor, seed \d+"):
        run_target("cursor", 0, 200)
