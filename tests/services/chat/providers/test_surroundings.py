"""What stands beside a quoted sentence is quoted with it where it completes it."""

import pytest

from services.chat.providers.asked import Asked
from services.chat.providers.evidence import Evidence
from services.chat.providers.surroundings import add_surroundings
from services.chat.providers.units import cut_units
from tests.services.chat.providers.bag import passage

TEXT = (
    "The parameter sets a bound on columns.",
    "Statements use it while they are prepared.",
    "Its default is 2000 columns.",
    "Larger bounds cost memory in the parser.",
    "Few tables come near to that.",
)


def quote(*places: int) -> tuple[list[Evidence], list[Evidence]]:
    """Return the units at `places` as chosen, and all of them."""
    every = [Evidence(unit, 1.0) for unit in cut_units(passage("bound", "Limits", *TEXT), 1)]
    return [every[place] for place in places], every


@pytest.mark.parametrize(
    ("places", "asked", "quoted"),
    [
        ((0,), "number", {0, 1, 2}),  # the value stands two sentences on
        ((1,), "number", {1, 2}),
        ((3,), "number", {2, 3}),  # or before
        ((2,), "number", {2}),  # it is there
        ((3, 2), "price", {2, 3}),  # no price anywhere
        ((0,), None, {0}),  # no value is asked for
        ((0,), "place", {0}),
        ((2, 4), None, {2, 3, 4}),  # one was passed over
        ((0, 3), None, {0, 3}),  # two were: that is another thing
        ((1,), None, {1, 2}),  # the next one goes on about it
    ],
)
def test_the_value_and_what_was_passed_over_are_added(
    places: tuple[int, ...], asked: Asked | None, quoted: set[int]
) -> None:
    """And nothing else."""
    chosen, every = quote(*places)
    found = add_surroundings(chosen, every, asked)
    assert {item.unit.position for item in found} == quoted
    assert found[: len(chosen)] == chosen
