"""The embedded provider: answer by quoting the sentences that answer best.

No model is asked: every sentence of an answer stands in a passage and is cited, or the answer
is that the documents do not say. No question and no document can make it say anything else. It
reads no history: retrieval has already completed the question from it.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import anyio.lowlevel
import anyio.to_thread

from ...progress import Progress, Report, no_report
from ...small_talk import find_small_talk
from ..draft import Draft
from ..provider import ModelUsage, Piece, Prompt, Restart, Stop, Text
from ..word_pieces import split_into_pieces
from .evidence import Evidence
from .layout import cite, compose
from .replies import IN_SHORT, SAYINGS, explain_refusal, reply_to
from .selection import choose, read_completed_question, read_wish_of

PIECES_A_TURN = 8
"""Pieces that are said in one turn of the loop where no pace is kept."""

LONGEST_PACED = 20.0
"""Seconds that an answer is spread over at most."""


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
            if pause and place:  # the first one is due at once
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
    question = read_completed_question(prompt)
    chosen = choose(prompt)
    if not chosen:
        refusal = explain_refusal(question, prompt.passages)
        return Draft(refusal, "Found nothing in the documents that answers this", is_quoting=False)
    if kind == "rework":
        # The passages are those of the question before.
        shortest = f"{SAYINGS[kind]} {IN_SHORT} {cite(chosen[0].unit)}"
        return Draft(shortest, _summarize(chosen[:1]), is_quoting=True)
    text = compose(chosen, prompt.passages, read_wish_of(prompt))
    return Draft(text, _summarize(chosen), is_quoting=True)


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
