"""The embedded provider: answer by quoting the sentences that answer best.

No model is asked: every sentence of an answer stands in a passage and is cited, or the answer
is that the documents do not say. No question and no document can make it say anything else. It
reads no history: retrieval has already completed the question from it.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import anyio.lowlevel
import anyio.to_thread

from ...progress import Progress, Report, no_report
from ...small_talk import find_small_talk
from ...wording import asks_more, describe_visit
from ..draft import Draft
from ..provider import ModelUsage, Piece, Prompt, Restart, Stop, Text
from ..word_pieces import split_into_pieces
from .definitions import is_definition, names_code_of, read_thing
from .evidence import Evidence, is_sufficient, weigh
from .kinds import Wish, read_wish
from .layout import cite, clean_quote, compose, says_side
from .replies import IN_SHORT, SAYINGS, explain_refusal, reply_to

LIKENESS = 0.2
"""The weight of likeness to what is already chosen against a unit's own score."""

SAME = 0.92
"""Two units with this cosine say one thing; the second adds nothing."""

FAINTEST = {1: 0.85, 2: 0.85, 3: 0.75, 4: 0.65, 5: 0.65}
"""By the number of units wanted: the share of the best score under which one is padding."""

PER_SIDE = 4
"""Units of each of two things that are compared."""

NARROW = 2
"""Units up to which a question wants one thing, and no more around it."""

MOST_OF_BOTH = 2
"""Units that say both: they stand above what is said of each."""

COMPANY = 0.05
"""What a unit gains by standing in the passage the answer begins with."""

DANGLING = 0.1
"""What a unit loses that leans on the one before it, unless that one is quoted too."""

NUMBER = 0.1
"""What a unit gains that has a number or a date where one is asked for."""

CODE = 0.15
"""What a unit gains that has the keyword or method the question names."""

DEFINED = 0.1
"""What a unit gains that says what the thing is, or does, that is asked for."""

PIECES_A_TURN = 8
"""Pieces that are said in one turn of the loop where no pace is kept."""

LONGEST_PACED = 20.0
"""Seconds that an answer is spread over at most."""

_LEANING = re.compile(
    r"(?:it|its|they|their|them|this|that|these|those|he|she|his|her|both|such|another|however"
    r"|moreover|therefore|also|then|but|and|so|or)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty"
    r"|hundred|thousand|million|half|once|twice|january|february|march|april|may|june|july|august"
    r"|september|october|november|december|spring|summer|autumn|winter)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ExtractiveProvider:
    """Answers from the passages alone; many streams share nothing.

    `pace` is how many words a second a reader who watches gets: an answer is ready at once, and
    would be over before it was seen to stream. 0 sends them as they are ready.
    """

    pace: float = 0.0

    @property
    def model(self) -> str:
        """The name under which a result reports who answered."""
        return "extractive"

    async def draft(self, prompt: Prompt) -> Draft:
        """Write the whole answer."""
        # A few milliseconds each, but two hundred may begin in one turn of the loop.
        return await anyio.to_thread.run_sync(write_answer, prompt)

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        """Quote what answers the question, a word at a time, and report the usage.

        A token is a word between white spaces: `ModelUsage` counts them, and `max_tokens` cuts by
        them. It costs nothing.
        """
        report(Progress(f"Reading {_format_count(len(prompt.passages), 'passage')}"))
        draft = prompt.draft or await self.draft(prompt)
        report(Progress(draft.summary))
        pieces = list(split_into_pieces(draft.text))
        answer = "".join(pieces[: prompt.max_tokens])
        so_far = prompt.so_far
        if not answer.startswith(so_far):
            so_far = ""
            yield Restart("The documents have changed.")
        rest = list(split_into_pieces(answer[len(so_far) :]))
        pause = self._compute_pause(prompt, len(rest))
        for place, piece in enumerate(rest):
            if pause:
                await anyio.sleep(pause)
            elif place % PIECES_A_TURN == 0:
                # Other streams run in between; what comes in one turn is logged in one write.
                await anyio.lowlevel.checkpoint()
            yield Text(piece)
        yield ModelUsage(_count_words_read(prompt), len(rest), cost_usd=0.0)
        yield Stop("stop" if len(pieces) <= prompt.max_tokens else "length")

    def _compute_pause(self, prompt: Prompt, pieces: int) -> float:
        """Compute the seconds between two pieces: the whole answer is there in good time."""
        if not self.pace or not prompt.is_watched or not pieces:
            return 0.0
        longest = LONGEST_PACED
        if prompt.until is not None:
            longest = min(longest, (prompt.until - anyio.current_time()) / 2)
        return max(0.0, min(1 / self.pace, longest / pieces))


def write_answer(prompt: Prompt) -> Draft:
    """Write the whole answer, and a summary of where it comes from."""
    kind = find_small_talk(prompt.question)
    if kind is not None and not (kind == "rework" and prompt.passages):
        said = reply_to(kind, prompt.documents)
        return Draft(said, "This is no question about the documents", is_quoting=False)
    question = read_question(prompt)
    chosen = choose(prompt)
    if not chosen:
        refusal = explain_refusal(question, prompt.passages)
        return Draft(refusal, "Found nothing in the documents that answers this", is_quoting=False)
    if kind == "rework":
        # The passages are those of the question before.
        shortest = f"{SAYINGS[kind]} {IN_SHORT} {cite(chosen[0].unit)}"
        return Draft(shortest, _summarize(chosen[:1]), is_quoting=True)
    text = compose(chosen, prompt.passages, read_wish(_leave_out_subject(prompt, question)))
    return Draft(text, _summarize(chosen), is_quoting=True)


def read_question(prompt: Prompt) -> str:
    """Return the question as it was searched for: whole by itself, its slips mended."""
    return (prompt.passages[0].asked if prompt.passages else "") or prompt.question


def _leave_out_subject(prompt: Prompt, question: str) -> str:
    """Return the wording of a question without the subject that was put before it."""
    before, _, rest = question.partition(": ")
    return rest if rest and not prompt.question.startswith(before) else question


def choose(prompt: Prompt) -> list[Evidence]:
    """Choose the units to quote, in the order of the answer; empty when there is not enough.

    Maximal marginal relevance (Carbonell and Goldstein, 1998): each unit is the best that is
    left, less its likeness to those already chosen. One passage's units stay together and in
    their own order; the passage with the best unit comes first.
    """
    question = read_question(prompt)
    wish = read_wish(_leave_out_subject(prompt, question))
    evidence: Sequence[Evidence] = weigh(question, prompt.passages)
    if not is_sufficient(question, prompt.passages, evidence):
        return []
    if visit := describe_visit(question):
        evidence = weigh(visit, prompt.passages)
    evidence = _leave_out_said(evidence, prompt)
    thing = read_thing(question)
    left = [
        Evidence(
            item.unit,
            item.score + _count_number(item, wish) + _count_definition(item, thing, question),
        )
        for item in evidence
    ]
    if wish.sides is None:
        chosen = _pick(left, wish.units)
    else:
        # As much of one side as of the other, if there is as much.
        sides = [_find_side(left, prompt, *pair) for pair in (wish.sides, wish.sides[::-1])]
        both = [item for item in left if _says_both(item, wish.sides)]
        chosen = [item for side in sides for item in _pick(side, PER_SIDE)]
        chosen = [*_pick(both, MOST_OF_BOTH), *chosen] if all(sides) else _pick(left, wish.units)
    if wish.kind in ("plain", "how") and wish.units > NARROW:
        chosen = _add_following(chosen, evidence)
    order = {item.unit.rank: place for place, item in reversed(list(enumerate(chosen)))}
    return sorted(chosen, key=lambda item: (order[item.unit.rank], item.unit.position))


def _leave_out_said(evidence: Sequence[Evidence], prompt: Prompt) -> Sequence[Evidence]:
    """Leave out what the conversation has quoted, where more is asked for and there is more."""
    if not prompt.history or not asks_more(prompt.question):
        return evidence
    said = " ".join(turn.answer for turn in prompt.history)
    unsaid = [item for item in evidence if clean_quote(item.unit.text) not in said]
    return unsaid or evidence


def _pick(left: Sequence[Evidence], wanted: int) -> list[Evidence]:
    """Pick the best units, each less its likeness to those already picked."""
    best = max((item.score for item in left), default=0.0)
    faintest = FAINTEST[min(wanted, max(FAINTEST))]
    rest = [item for item in left if item.score >= faintest * best]
    chosen: list[Evidence] = []
    while rest and len(chosen) < wanted:
        pick = max(rest, key=lambda item: _compute_gain(item, chosen))
        chosen.append(pick)
        rest = [item for item in rest if item is not pick and not _is_same(item, pick)]
    return chosen


def _add_following(chosen: list[Evidence], evidence: Sequence[Evidence]) -> list[Evidence]:
    """Add the unit that follows the best one, which often goes on to what is asked."""
    if not chosen:
        return chosen
    best = chosen[0].unit
    known = {(item.unit.rank, item.unit.position) for item in chosen}
    following = (best.rank, best.position + 1)
    more = [item for item in evidence if (item.unit.rank, item.unit.position) == following]
    return [*chosen, *(more if following not in known else [])]


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


def _count_number(item: Evidence, wish: Wish) -> float:
    return NUMBER if wish.wants_number and _NUMBER.search(item.unit.text) else 0.0


def _count_definition(item: Evidence, thing: str | None, question: str) -> float:
    gain = DEFINED if thing and is_definition(thing, item.unit.text) else 0.0
    return gain + (CODE if names_code_of(question, item.unit.text) else 0.0)


def _compute_gain(item: Evidence, chosen: Sequence[Evidence]) -> float:
    gain = item.score - LIKENESS * _find_likeness(item, chosen)
    if chosen and item.unit.rank == chosen[0].unit.rank:
        gain += COMPANY
    before = (item.unit.rank, item.unit.position - 1)
    quoted = {(other.unit.rank, other.unit.position) for other in chosen}
    if _LEANING.match(item.unit.text) and before not in quoted:
        gain -= DANGLING
    return gain


def _find_likeness(item: Evidence, chosen: Sequence[Evidence]) -> float:
    return max((_compute_cosine(item, other) for other in chosen), default=0.0)


def _is_same(item: Evidence, other: Evidence) -> bool:
    return _compute_cosine(item, other) >= SAME


def _compute_cosine(one: Evidence, other: Evidence) -> float:
    return float(one.unit.sentence.vector @ other.unit.sentence.vector)


def _count_words_read(prompt: Prompt) -> int:
    texts = [prompt.question, *(passage.text for passage in prompt.passages)]
    return sum(len(text.split()) for text in texts)


def _summarize(chosen: Sequence[Evidence]) -> str:
    if not chosen:
        return "Found nothing in the documents that answers this"
    passages = len({item.unit.rank for item in chosen})
    sentences = _format_count(len(chosen), "sentence")
    return f"Quoting {sentences} from {_format_count(passages, 'passage')}"


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
