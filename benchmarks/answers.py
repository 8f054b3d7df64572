"""How good the answers of the embedded engine are, over labelled questions.

``python -m benchmarks.answers`` prints the figures; ``--show tuning`` also the questions that
went wrong. Half of the questions, chosen by a hash of their text, is held back: it is counted,
and never shown, so that nothing is tuned on it. Those of `fresh` to `sixth` were
written by reading the documents alone, after the engine was tuned, and committed before they were
asked once. What was wrong in them, but for `sixth`, has been looked at since.

A set is a file of ``benchmarks/answers``: a line a question, with what its answer has to say ("&"
for and, "/" for or, "\\/" for a slash; from the beginning of a word, a short one whole) and the
document that says it; a line that begins with "-" is a question that the documents do not answer.
The guide is shipped. The other documents come in packages: `SETS` names them with their licences,
and `--sets` the folder with an index for each.
"""

import argparse
import asyncio
import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.table import Table
from services.chat import Prompt
from services.chat.providers import extractive
from services.context import Library, open_context
from services.context.index.index import Index, open_index
from services.context.words import content_words
from services.settings import ROOT, SHIPPED_INDEX, Settings

QUESTIONS = ROOT / "benchmarks" / "answers"
SETS = ROOT / ".riverrun" / "sets"
TOP_K = 5

TUNED_ON, HELD_BACK, FRESH, SECOND, THIRD, FOURTH, FIFTH, SIXTH = HALVES = (
    "tuned on",
    "held back",
    "fresh",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
)

TUNED = "tuned"
"""The folder of questions that were all written to tune with."""

SHORT_WORD = 3
"""Letters up to which a word of a label has to be a whole word: "su" is not said by "such"."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question, what its answer has to say, and where that stands; nothing when nothing does."""

    question: str
    says: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...]
    folder: str = ""

    @property
    def is_answerable(self) -> bool:
        """Tell whether the documents answer it."""
        return bool(self.says)

    @property
    def half(self) -> str:
        """Which part of the questions it belongs to; only the half tuned on is ever shown."""
        if self.folder in (*HALVES[2:], TUNED):
            return TUNED_ON if self.folder == TUNED else self.folder
        held_back = hashlib.sha256(self.question.encode()).digest()[0] % 2 == 0
        return HELD_BACK if held_back else TUNED_ON


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a question."""

    labelled: Labelled
    answer: str
    rank: int | None
    is_first_by_words: bool

    @property
    def is_answered(self) -> bool:
        """Tell whether the engine answered at all."""
        return bool(self.answer)

    @property
    def has_fact(self) -> bool:
        """Tell whether the answer says what it has to."""
        return self.is_answered and all(
            any(says_fact(self.answer, one) for one in alternatives)
            for alternatives in self.labelled.says
        )

    @property
    def is_right(self) -> bool:
        """Tell whether the question was answered with its fact, or rightly refused."""
        return self.has_fact if self.labelled.is_answerable else not self.is_answered


def read_set(path: Path) -> list[Labelled]:
    """Read one set of labelled questions; none where there is no such file."""
    found: list[Labelled] = []
    if not path.is_file():
        return found
    folder = path.parent.name
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("- "):
            found.append(Labelled(line[2:], (), (), folder))
        elif line and not line.startswith("#"):
            question, says, source = (part.strip() for part in line.split("|"))
            facts = tuple(_read_alternatives(fact) for fact in says.split("&"))
            sources = tuple(one.strip() for one in source.split(","))
            found.append(Labelled(question, facts, sources, folder))
    return found


def _read_alternatives(fact: str) -> tuple[str, ...]:
    parts = (part.strip().replace("\\/", "/") for part in re.split(r"(?<!\\)/", fact))
    return tuple(part for part in parts if part)


def says_fact(answer: str, fact: str) -> bool:
    """Tell whether an answer has a fact, from the beginning of a word; a short one whole."""
    end = r"(?!\w)" if len(fact) <= SHORT_WORD else ""
    return re.search(rf"(?<!\w){re.escape(fact)}{end}", answer, re.IGNORECASE) is not None


async def ask_all(library: Library, words: Index, labelled: Sequence[Labelled]) -> list[Outcome]:
    """Ask every question once; `words` is the same index, to be asked by words alone."""
    return [await _ask(library, words, one) for one in labelled]


async def _ask(library: Library, words: Index, labelled: Labelled) -> Outcome:
    found = await library.retrieve(labelled.question, TOP_K)
    draft = extractive.write_answer(Prompt(labelled.question, found))
    answer = draft.text if draft.is_quoting else ""
    by_words = _is_first_by_words(words, labelled)
    ranks = [n for n, one in enumerate(found, 1) if one.uri.startswith(labelled.sources)]
    return Outcome(labelled, answer, ranks[0] if ranks else None, by_words)


def _is_first_by_words(index: Index, labelled: Labelled) -> bool:
    """Tell whether BM25 alone has the right document first."""
    rows = index.rows(index.with_any(content_words(labelled.question), 1))
    return any(row.chunk.uri.startswith(labelled.sources) for row in rows)


def summarize(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Return answered, with the fact, refused and recall@1 as text."""
    outcomes = list(outcomes)
    answerable = [one for one in outcomes if one.labelled.is_answerable]
    others = [one for one in outcomes if not one.labelled.is_answerable]
    answered = [one for one in answerable if one.is_answered]
    return (
        f"{len(answered)}/{len(answerable)}",
        f"{sum(one.has_fact for one in answered)}/{len(answered)}",
        f"{sum(one.has_fact for one in answerable)}/{len(answerable)}",
        f"{sum(not one.is_answered for one in others)}/{len(others)}",
        f"{sum(one.rank == 1 for one in answerable)}/{len(answerable)}",
        f"{sum(one.is_first_by_words for one in answerable)}/{len(answerable)}",
    )


def indexes(folder: Path) -> dict[str, Path]:
    """Return the sets that are here: the guide, and those with an index in `folder`."""
    found = {"guide": SHIPPED_INDEX}
    for path in sorted(QUESTIONS.rglob("*.txt")):
        if (folder / f"index-{path.stem}").is_dir():
            found[path.stem] = folder / f"index-{path.stem}"
    return found


def read_labelled(name: str) -> list[Labelled]:
    """Read all questions over the set of documents with this name."""
    folders = (QUESTIONS, *(QUESTIONS / one for one in (TUNED, *HALVES[2:])))
    return [one for folder in folders for one in read_set(folder / f"{name}.txt")]


def measure(folder: Path) -> dict[str, list[Outcome]]:
    """Ask the questions of every set that is here."""
    found = {}
    for name, index in indexes(folder).items():
        labelled = read_labelled(name)
        settings = replace(Settings(), index=str(index))
        with closing(open_context(settings)) as library, open_index(index) as words:
            found[name] = asyncio.run(ask_all(library, words, labelled))
    return found


def tables(folder: Path = SETS) -> list[Table]:
    """Return the figures as a table."""
    measured = measure(folder)
    rows: list[tuple[str, ...]] = []
    every = [one for found in measured.values() for one in found]
    for name, found in {**measured, "all": every}.items():
        halves = [(half, [one for one in found if one.labelled.half == half]) for half in HALVES]
        rows += [(f"{name}, {half}", *summarize(only)) for half, only in halves if only]
    return [
        Table(
            "Answers of the embedded engine",
            "Questions that the documents answer: answered, the key fact in what was answered and "
            "in all, the right document first, and first by BM25 alone; and those that they do "
            "not: refused. `python -m benchmarks.answers --show` names what went wrong in the "
            "half tuned on.",
            ("set", "answered", "fact of those", "fact of all", "refused", "recall@1", "BM25"),
            rows,
        )
    ]


def main() -> None:
    """Print the table, and on request what went wrong in the half that is tuned on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--sets", type=Path, default=SETS)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    if given.show:
        for name, found in measure(given.sets).items():
            for one in found:
                if not one.is_right and one.labelled.half == TUNED_ON:
                    kind = "lacks" if one.labelled.is_answerable else "should refuse"
                    wanted = " & ".join("/".join(fact) for fact in one.labelled.says)
                    print(f"{name} {kind} {wanted} (rank {one.rank}): {one.labelled.question}")
                    print(f"    {one.answer or '(refused)'}"[:400])
    for table in tables(given.sets):
        print(table.markdown())


if __name__ == "__main__":
    main()
