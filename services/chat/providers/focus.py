"""Leave out what says nothing of what is asked, where the best sentence says it.

All that is said of a place is near each question about it, so no score tells padding from an
answer: "Can I drink alcohol in Dubai?" is not answered by when it rains there.
"""

from collections.abc import Sequence

from ...passages import Passage
from ..topics import collect_said
from .asked import VALUES, holds, read_asked
from .definitions import is_definition, read_thing
from .evidence import Evidence, collect_title_stems, read_subject
from .kinds import Wish

SHORT_LIST = 3
"""Units below which a list has the rest of the best one's passage, too."""


def keep_what_is_asked(
    question: str, wish: Wish, evidence: Sequence[Evidence], passages: Sequence[Passage]
) -> Sequence[Evidence]:
    """Return the units that say, or stand under, a word of what is asked beside the names.

    And those that define it: "`after` slices a list" is of the after function.

    All of them where the best one does not say, or stand under, all of these words: then the
    question was asked in other words than the documents have. All, too, where it has not the
    value that is asked for.
    """
    about = set(read_subject(question, passages).about)
    if not about or not evidence:
        return evidence
    titled = [collect_title_stems(passage) for passage in passages]
    said = [about & (collect_said(one.unit.text) | titled[one.unit.rank - 1]) for one in evidence]
    best = max(range(len(evidence)), key=lambda place: evidence[place].score)
    asked = read_asked(question)
    if said[best] != about or (asked in VALUES and not holds(asked, evidence[best].unit.text)):
        return evidence
    thing = read_thing(question)
    kept = [
        place
        for place, words in enumerate(said)
        if words or (thing and is_definition(thing, evidence[place].unit.text))
    ]
    if wish.kind == "list" and len(kept) < SHORT_LIST:
        rank = evidence[best].unit.rank
        kept = [place for place, one in enumerate(evidence) if said[place] or one.unit.rank == rank]
    return [evidence[place] for place in kept]
