"""Complete what is quoted by what stands beside it in the same passage.

A sentence that is left out between two that are quoted is often the one that says the thing, and
the value that is asked for often stands in the sentence after the one that names it.
"""

import re
from collections.abc import Mapping, Sequence

from .asked import VALUES, Asked, holds
from .evidence import Evidence
from .units import is_pointing

NEAR = (1, 2, -1)
"""How far from the best unit a value is looked for, the likeliest place first."""

_GOES_ON = re.compile(r"(?:it|its|they|their|this|these)\b", re.IGNORECASE)

Place = tuple[int, int]


def add_surroundings(
    chosen: Sequence[Evidence], evidence: Sequence[Evidence], asked: Asked | None
) -> list[Evidence]:
    """Add what goes on after the best unit, the value it stops before, and what was passed over."""
    known = {_place(item): item for item in evidence}
    best = chosen[0]
    wanted = {_place(item) for item in chosen}
    wanted |= _find_following(best, known) | _find_value(best, chosen, known, asked)
    wanted |= {(rank, at + 1) for rank, at in wanted if (rank, at + 2) in wanted}
    said = {_place(item) for item in chosen}
    return [*chosen, *(known[one] for one in sorted(wanted - said) if one in known)]


def _find_following(best: Evidence, known: Mapping[Place, Evidence]) -> set[Place]:
    """Find the unit after the best one where that points at it, or it goes on with "It is ..."."""
    rank, at = _place(best)
    following = known.get((rank, at + 1))
    goes_on = following and (is_pointing(best.unit.text) or _GOES_ON.match(following.unit.text))
    return {(rank, at + 1)} if goes_on else set()


def _find_value(
    best: Evidence, chosen: Sequence[Evidence], known: Mapping[Place, Evidence], asked: Asked | None
) -> set[Place]:
    """Find the number, price or hours asked for beside the best unit, if its passage gave none."""
    if asked not in VALUES:
        return set()
    rank, at = _place(best)
    if any(holds(asked, item.unit.text) for item in chosen if item.unit.rank == rank):
        return set()
    for step in NEAR:
        item = known.get((rank, at + step))
        if item and holds(asked, item.unit.text):
            return {_place(item)}
    return set()


def _place(item: Evidence) -> Place:
    return item.unit.rank, item.unit.position
