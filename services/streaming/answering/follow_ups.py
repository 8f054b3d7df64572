"""What to ask next: the sections of the same document that an answer did not quote.

Each is a heading, asked as it stands. At a refusal these are what the documents do have.
"""

from collections.abc import Collection, Sequence

from ...passages import Passage

MOST_FOLLOW_UPS = 3
LONGEST_FOLLOW_UP = 120
ARROW = " › "


def suggest_follow_ups(
    question: str, passages: Sequence[Passage], cited: Collection[int]
) -> tuple[str, ...]:
    """Suggest what to ask after `question`. `cited` has the numbers of the passages quoted.

    A passage that shares no word with the question was found by meaning alone: it may be about
    anything, and neither it nor its document is offered.
    """
    if not passages or not passages[0].coverage:
        return ()
    quoted = {passages[number - 1].title for number in cited if 1 <= number <= len(passages)}
    first = min((number for number in cited if 1 <= number <= len(passages)), default=1)
    document = passages[first - 1].title.partition(ARROW)[0]
    found: list[str] = []
    for passage in passages:
        title, _, section = passage.title.partition(ARROW)
        asked = f"{title}: {section.replace(ARROW, ', ')}"
        if (
            title == document
            and section
            and passage.title not in quoted
            and passage.coverage
            and asked not in found
            and asked.casefold() != question.casefold()
            and len(asked) <= LONGEST_FOLLOW_UP
        ):
            found.append(asked)
    return tuple(found[:MOST_FOLLOW_UPS])
