"""Choose the units to quote, and in which order: those that answer best, and no padding."""

from collections.abc import Sequence
from dataclasses import replace

from ...passages import Passage
from ...wording import asks_more, describe_visit, read_plan
from ..provider import Prompt
from .answerability import is_any_said, is_sufficient, read_added
from .evidence import Evidence
from .focus import keep_what_is_asked
from .kinds import Wish, read_wish
from .layout import clean_quote, says_side
from .overview import find_document, has_sights, introduce, is_asked_to_see, is_general
from .scores import share_out, weigh
from .units import LEANING

SURE, SURE_OF_ONE = 0.95, 0.88
"""How likely it has to be that what answers is among what is quoted, before quoting stops; and the
same where one thing is wanted: a date, a number, yes or no."""

NARROW = 2
"""Sentences up to which a question wants one thing."""

MOST = 8
"""Units that are quoted at most, where their number is not what the wording asks for."""

UNLIKELY = 0.02
"""How likely a unit has to be the one that answers, to be quoted beside another."""

LIKENESS = 1.3
"""For lists, plans and comparisons: the weight of likeness to what is already chosen against a
unit's own score."""

SAME = 0.92
"""Two units with this cosine say one thing; the second adds nothing."""

FAINTEST = 5.0
"""For the same: how far under the best score a unit may be; below, it is padding."""

PER_SIDE = 4
"""Units of each of two things that are compared."""

MOST_OF_BOTH = 2
"""Units that say both: they stand above what is said of each."""

COMPANY = 0.3
"""What a unit of a list gains by standing in the passage the answer begins with."""

DANGLING = 0.65
"""What a unit of a list loses that leans on the one before it, unless that one is quoted too."""


def read_completed_question(prompt: Prompt) -> str:
    """Return the question as it was searched for: whole by itself, its slips mended."""
    return (prompt.passages[0].asked if prompt.passages else "") or prompt.question


def read_wish_of(prompt: Prompt) -> Wish:
    """Read the wish in the wording of a question, without the subject that was put before it."""
    question = read_completed_question(prompt)
    before, _, rest = question.partition(": ")
    wish = read_wish(rest if rest and not prompt.question.startswith(before) else question)
    if wish.sides is not None and not _has_columns(wish.sides, prompt.passages):
        wish = replace(wish, kind="plain", sides=None)
    is_overview = wish.kind in ("plain", "list") and is_general(question, prompt.passages)
    return replace(wish, kind="overview") if is_overview else wish


def _has_columns(sides: tuple[str, str], passages: Sequence[Passage]) -> bool:
    """Tell whether each of two things has a section of its own; else prose says more of both."""
    titles = [passage.title for passage in passages]
    return all(
        any(says_side(one, "", title) and not says_side(other, "", title) for title in titles)
        for one, other in (sides, sides[::-1])
    )


def choose(prompt: Prompt) -> list[Evidence]:
    """Choose the units to quote, in the order of the answer; empty when there is not enough.

    Maximal marginal relevance (Carbonell and Goldstein, 1998): each unit is the best that is
    left, less its likeness to those already chosen. One passage's units stay together and in
    their own order; the passage with the best unit comes first.
    """
    question = read_completed_question(prompt)
    wish = read_wish_of(prompt)
    evidence: Sequence[Evidence] = weigh(question, prompt.passages)
    added = read_added(prompt.question, question, prompt.passages)
    if added and not is_any_said(added, prompt.passages):
        return []
    visit = None if added else describe_visit(question)
    place = find_document(read_plan(question), prompt.passages) if visit else None
    if introduction := _introduce_document(question, wish, prompt):
        return introduction
    is_seen = place and (wish.kind == "plan" or is_asked_to_see(question, prompt.passages))
    if not is_seen and not is_sufficient(question, prompt.passages, evidence):
        return []
    if introduction := _introduce_sides(wish, prompt):
        return introduction
    if place and wish.kind != "plan" and not has_sights(place, prompt.passages):
        return introduce(place, prompt.passages)
    if visit:
        evidence = weigh(visit, prompt.passages)
    evidence = _leave_out_said(evidence, prompt)
    if wish.sides is not None:
        # As much of one side as of the other, if there is as much.
        sides = [_find_side(evidence, prompt, *pair) for pair in (wish.sides, wish.sides[::-1])]
        both = [item for item in evidence if _says_both(item, wish.sides)]
        chosen = [item for side in sides for item in _pick(side, PER_SIDE)]
        chosen = (
            [*_pick(both, MOST_OF_BOTH), *chosen] if all(sides) else choose_likely(evidence, wish)
        )
    else:
        if visit is None:
            evidence = keep_what_is_asked(question, wish, evidence, prompt.passages)
        is_prose = wish.kind in ("plain", "how")
        chosen = choose_likely(evidence, wish) if is_prose else _pick(evidence, wish.units)
    order = {item.unit.rank: place for place, item in reversed(list(enumerate(chosen)))}
    return sorted(chosen, key=lambda item: (order[item.unit.rank], item.unit.position))


def _introduce_document(question: str, wish: Wish, prompt: Prompt) -> list[Evidence]:
    """Introduce the document that is only named; nothing where no words stand under its title."""
    title = find_document(question, prompt.passages) if wish.kind == "overview" else None
    return introduce(title, prompt.passages) if title else []


def _introduce_sides(wish: Wish, prompt: Prompt) -> list[Evidence]:
    """Introduce two things that are compared in general, one beside the other."""
    if wish.sides is None or wish.topic:
        return []
    titles = [find_document(side, prompt.passages) for side in wish.sides]
    sides = [introduce(title, prompt.passages) for title in titles if title]
    # What says both has no column of its own.
    alone = [[item for item in side if not _says_both(item, wish.sides)] for side in sides]
    length = min(map(len, alone)) if len(alone) == len(wish.sides) else 0
    return [item for side in alone for item in side[:length]]


def _leave_out_said(evidence: Sequence[Evidence], prompt: Prompt) -> Sequence[Evidence]:
    """Leave out what the conversation has quoted, where more is asked for and there is more."""
    if not prompt.history or not asks_more(prompt.question):
        return evidence
    said = " ".join(turn.answer for turn in prompt.history)
    unsaid = [item for item in evidence if clean_quote(item.unit.text) not in said]
    return unsaid or evidence


def choose_likely(evidence: Sequence[Evidence], wish: Wish) -> list[Evidence]:
    """Choose the likeliest units until it is likely enough that one of them answers."""
    shares = sorted(zip(share_out(evidence), evidence, strict=True), key=lambda pair: -pair[0])
    enough = SURE_OF_ONE if wish.units <= NARROW else SURE
    chosen: list[Evidence] = []
    sure = 0.0
    for share, item in shares:
        if chosen and share < UNLIKELY:
            break
        if not any(_compute_cosine(item, other) >= SAME for other in chosen):
            chosen.append(item)
        sure += share
        if sure >= enough or len(chosen) >= MOST:
            break
    return chosen


def _pick(left: Sequence[Evidence], most: int) -> list[Evidence]:
    """Pick the best units, each less its likeness to those already picked."""
    least = max((item.score for item in left), default=0.0) - FAINTEST
    rest = [item for item in left if item.score >= least]
    chosen: list[Evidence] = []
    # Of each unit that is left, by its identity: how like it is to the most like that is chosen.
    likeness: dict[int, float] = {}
    while rest and len(chosen) < most:
        pick = max(rest, key=lambda it: _compute_gain(it, chosen, likeness.get(id(it), 0.0)))
        chosen.append(pick)
        cosines = [(item, _compute_cosine(item, pick)) for item in rest if item is not pick]
        rest = [item for item, cosine in cosines if cosine < SAME]
        for item, cosine in cosines:
            likeness[id(item)] = max(cosine, likeness.get(id(item), cosine))
    return chosen


def _says_both(item: Evidence, sides: tuple[str, str]) -> bool:
    """Tell whether a unit itself says both things that are compared."""
    return all(says_side(side, item.unit.text, "") for side in sides)


def _find_side(left: Sequence[Evidence], prompt: Prompt, side: str, other: str) -> list[Evidence]:
    """Find the units about one thing that is compared, and not about the other."""
    titles = [passage.title for passage in prompt.passages]
    return [
        item
        for item in left
        if says_side(side, item.unit.text, titles[item.unit.rank - 1])
        and not says_side(other, item.unit.text, titles[item.unit.rank - 1])
    ]


def _compute_gain(item: Evidence, chosen: Sequence[Evidence], likeness: float) -> float:
    gain = item.score - LIKENESS * likeness
    if chosen and item.unit.rank == chosen[0].unit.rank:
        gain += COMPANY
    before = (item.unit.rank, item.unit.position - 1)
    quoted = {(other.unit.rank, other.unit.position) for other in chosen}
    if LEANING.match(item.unit.text) and before not in quoted:
        gain -= DANGLING
    return gain


def _compute_cosine(one: Evidence, other: Evidence) -> float:
    return float(one.unit.sentence.vector @ other.unit.sentence.vector)
