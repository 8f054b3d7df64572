"""How well and how fast the right passage is found, over the questions of the shipped corpus.

``python -m benchmarks.retrieval`` prints the figures and the questions that missed.
"""

import argparse
import asyncio
import json
import os
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median, quantiles

from benchmarks.table import Table
from services.context import Library, open_context
from services.settings import ROOT, Settings, read_settings

QUESTIONS = ROOT / "knowledge" / "questions.json"
DEPTH = 10
"""How far down the right passage is looked for; beyond it counts as not found."""


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """One question: the URI of its passage, the URIs that were found, and how long it took."""

    question: str
    passage: str
    found: tuple[str, ...]
    milliseconds: float

    @property
    def rank(self) -> int | None:
        """The place of the right passage, from 1, or None when it is not among those found."""
        return self.found.index(self.passage) + 1 if self.passage in self.found else None


@dataclass(frozen=True, slots=True)
class RetrievalFigures:
    """The figures over all questions. Recalls and `mrr` are 0 to 1, times in milliseconds."""

    questions: int
    passages: int
    recall_at_1: float
    recall_at_3: float
    mrr: float
    median_ms: float
    p99_ms: float
    asked: tuple[QuestionResult, ...]

    @property
    def misses(self) -> tuple[QuestionResult, ...]:
        """The questions whose right passage was not the first."""
        return tuple(asked for asked in self.asked if asked.rank != 1)


def read_questions(path: Path = QUESTIONS) -> list[dict[str, str]]:
    """Return the question set: a list of ``{"question": ..., "passage": uri}``."""
    entries: list[dict[str, str]] = json.loads(path.read_text("utf-8"))
    return entries


async def measure(library: Library, entries: list[dict[str, str]]) -> RetrievalFigures:
    """Ask every question of the set once, one after the other, after a warm-up."""
    await library.prepare()
    await library.retrieve(entries[0]["question"], DEPTH)
    asked = tuple([await _ask(library, entry["question"], entry["passage"]) for entry in entries])
    times = [one.milliseconds for one in asked]
    ranks = [one.rank for one in asked]
    return RetrievalFigures(
        questions=len(asked),
        passages=library.passage_count,
        recall_at_1=mean(rank == 1 for rank in ranks),
        recall_at_3=mean(rank is not None and rank <= 3 for rank in ranks),
        mrr=mean(1 / rank if rank else 0.0 for rank in ranks),
        median_ms=median(times),
        p99_ms=quantiles(times, n=100, method="inclusive")[98],
        asked=asked,
    )


async def _ask(library: Library, question: str, passage: str) -> QuestionResult:
    started = time.perf_counter()
    found = await library.retrieve(question, DEPTH)
    elapsed = (time.perf_counter() - started) * 1000
    # A long section is several passages with one URI: it counts once.
    return QuestionResult(
        question, passage, tuple(dict.fromkeys(one.uri for one in found)), elapsed
    )


def tables() -> list[Table]:
    """The shipped index under the shipped questions, as a table."""
    with closing(open_context(Settings())) as library:
        found = asyncio.run(measure(library, read_questions()))
    row = (
        found.questions,
        found.passages,
        f"{found.recall_at_1:.3f}",
        f"{found.recall_at_3:.3f}",
        f"{found.mrr:.3f}",
        f"{found.median_ms:.1f} ({found.p99_ms:.1f})",
    )
    return [
        Table(
            "Retrieval on the shipped questions",
            "The right passage first, or among the first three; milliseconds a question, median "
            "(p99), embedding included. `python -m benchmarks.retrieval` names the misses.",
            ("questions", "passages", "recall@1", "recall@3", "MRR", "ms"),
            [row],
        )
    ]


def main() -> None:
    """Measure the index and the questions that are asked for, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--index", help="an index folder; default: RIVERRUN_INDEX or the shipped")
    given = parser.parse_args()
    settings = read_settings(os.environ)
    if given.index:
        settings = replace(settings, index=given.index)
    with closing(open_context(settings)) as library:
        measured = asyncio.run(measure(library, read_questions(given.questions)))
    for miss in measured.misses:
        print(f"rank {miss.rank or '-':>2}  {miss.question}\n         right: {miss.passage}")
        print(f"         first: {miss.found[0]}")
    print(f"questions  {measured.questions} over {measured.passages} passages")
    print(f"recall@1   {measured.recall_at_1:.3f}")
    print(f"recall@3   {measured.recall_at_3:.3f}")
    print(f"MRR        {measured.mrr:.3f}")
    print(f"median     {measured.median_ms:.1f} ms")
    print(f"p99        {measured.p99_ms:.1f} ms")


if __name__ == "__main__":
    main()
