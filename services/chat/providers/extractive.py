"""The embedded provider: answer by quoting the sentences that answer best.

No model is asked: every sentence of an answer stands in a passage and is cited, or the answer
is that the documents do not say. No question and no document can make it say anything else. It
reads no history: retrieval has already completed the question from it.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from itertools import groupby

import anyio.lowlevel
import anyio.to_thread

from ...progress import Progress, Report, no_report
from ..provider import Piece, Prompt, Restart, Stop, Text, Usage
from ..word_pieces import split_into_pieces
from ..words import count_sentences_wanted
from .evidence import Evidence, select_sufficient, weigh

NOT_SAID = "I looked, but the documents do not say."

LIKENESS = 0.2
"""The weight of likeness to what is already chosen against a sentence's own score."""

SAME = 0.92
"""Two sentences with this cosine say one thing; the second adds nothing."""

FAINTEST = {1: 0.85, 2: 0.85, 3: 0.7, 4: 0.6, 5: 0.6}
"""By the number of sentences wanted: the share of the best score under which one is padding."""

COMPANY = 0.1
"""What a sentence gains by standing in the passage the answer begins with."""

DANGLING = 0.1
"""What a sentence loses that leans on the one before it, unless that one is quoted too."""

SHORTEST = 10
"""Characters; what is shorter is a heading or an exclamation, in any script."""

_LEANING = re.compile(
    r"(?:it|its|they|their|them|this|that|these|those|he|she|his|her|both|such|another|however"
    r"|moreover|therefore|also|then|but|and|so|or)\b",
    re.IGNORECASE,
)
_FOOTNOTE = re.compile(r" ?\[\^?\d{1,4}\]")


@dataclass(frozen=True, slots=True)
class ExtractiveProvider:
    """Answers from the passages alone; many streams share nothing."""

    @property
    def model(self) -> str:
        """The name under which a result reports who answered."""
        return "extractive"

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        """Quote what answers the question, a word at a time, and report the usage.

        A token is a word between white spaces: `Usage` counts them, and `max_tokens` cuts by
        them. It costs nothing.
        """
        report(Progress(f"Reading {_format_count(len(prompt.passages), 'passage')}"))
        # A few milliseconds each, but two hundred may begin in one turn of the loop.
        chosen = await anyio.to_thread.run_sync(choose, prompt)
        text = compose(chosen) if chosen else NOT_SAID
        report(Progress(_summarize(chosen)))
        pieces = list(split_into_pieces(text))
        answer = "".join(pieces[: prompt.max_tokens])
        so_far = prompt.so_far
        if not answer.startswith(so_far):
            so_far = ""
            yield Restart("The documents have changed.")
        rest = list(split_into_pieces(answer[len(so_far) :]))
        for piece in rest:
            # Other streams run between two pieces of this one.
            await anyio.lowlevel.checkpoint()
            yield Text(piece)
        yield Usage(input_tokens=_count_words_read(prompt), output_tokens=len(rest), cost_usd=0.0)
        yield Stop("stop" if len(pieces) <= prompt.max_tokens else "length")


def choose(prompt: Prompt) -> list[Evidence]:
    """Choose the evidence to quote, in the order of the answer; empty when there is not enough.

    Maximal marginal relevance (Carbonell and Goldstein, 1998): each sentence is the best that
    is left, less its likeness to those already chosen. One passage's sentences stay together
    and in their own order; the passage with the best sentence comes first.
    """
    wanted = count_sentences_wanted(prompt.question)
    evidence = weigh(prompt.question, prompt.passages)
    left = [
        item
        for item in select_sufficient(prompt.question, prompt.passages, evidence)
        if len(clean_quote(item.sentence.text)) >= SHORTEST
    ]
    best = max((item.score for item in left), default=0.0)
    left = [item for item in left if item.score >= FAINTEST[wanted] * best]
    chosen: list[Evidence] = []
    while left and len(chosen) < wanted:
        pick = max(left, key=lambda item: _compute_gain(item, chosen))
        chosen.append(pick)
        left = [item for item in left if item is not pick and not _is_same(item, pick)]
    order = {item.rank: place for place, item in reversed(list(enumerate(chosen)))}
    return sorted(chosen, key=lambda item: (order[item.rank], item.position))


def compose(chosen: Sequence[Evidence]) -> str:
    """Write the answer as prose: each passage's sentences, then its citation ``[n]``."""
    paragraphs = []
    for rank, items in groupby(chosen, key=lambda item: item.rank):
        paragraphs.append(f"{' '.join(clean_quote(item.sentence.text) for item in items)} [{rank}]")
    return " ".join(paragraphs)


def clean_quote(text: str) -> str:
    """Put a sentence on one line, closed, without footnote marks that would pass for citations."""
    line = _FOOTNOTE.sub("", " ".join(text.split()))
    return f"{line}." if line and line[-1].isalnum() else line


def _compute_gain(item: Evidence, chosen: Sequence[Evidence]) -> float:
    gain = item.score - LIKENESS * _compute_likeness(item, chosen)
    if chosen and item.rank == chosen[0].rank:
        gain += COMPANY
    before = (item.rank, item.position - 1)
    if _LEANING.match(item.sentence.text) and before not in {(c.rank, c.position) for c in chosen}:
        gain -= DANGLING
    return gain


def _compute_likeness(item: Evidence, chosen: Sequence[Evidence]) -> float:
    return max((_compute_cosine(item, other) for other in chosen), default=0.0)


def _is_same(item: Evidence, other: Evidence) -> bool:
    return _compute_cosine(item, other) >= SAME


def _compute_cosine(one: Evidence, other: Evidence) -> float:
    return float(one.sentence.vector @ other.sentence.vector)


def _count_words_read(prompt: Prompt) -> int:
    texts = [prompt.question, *(passage.text for passage in prompt.passages)]
    return sum(len(text.split()) for text in texts)


def _summarize(chosen: Sequence[Evidence]) -> str:
    if not chosen:
        return "Found nothing in the documents that answers this"
    passages = len({item.rank for item in chosen})
    sentences = _format_count(len(chosen), "sentence")
    return f"Quoting {sentences} from {_format_count(passages, 'passage')}"


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
