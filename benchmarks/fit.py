"""Fit the two models of the embedded engine on the labelled questions, one set left out in turn.

``python -m benchmarks.fit`` prints how well each set is answered by weights that were fitted
without it, and then the weights fitted on all, as `services.chat.providers.scores` (which unit has
the key fact) and `answerability` (whether the answer has it) hold them. The half held back and
the newest set are not read.

What the documents do not answer is learned from the questions that they do not, and, for a part,
from those that they do, asked again with the passages that have the fact taken away.
"""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers import (
    HALVES,
    HELD_BACK,
    SETS,
    SIXTH,
    Labelled,
    indexes,
    read_labelled,
    says_fact,
)
from services.chat.providers import answerability, scores
from services.chat.providers.evidence import Evidence
from services.chat.providers.focus import keep_what_is_asked
from services.chat.providers.kinds import read_wish
from services.chat.providers.selection import choose_likely
from services.chat.providers.units import Unit
from services.context import open_context
from services.passages import Passage
from services.settings import Settings

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

NEVER_READ = (HELD_BACK, SIXTH)
"""What is kept to measure with: the half held back, and the newest set."""

TAKEN_AWAY = 0.3
"""What a question counts whose passages were taken away: it is none that was asked."""

RIDGE = 3.0
STEPS, ENOUGH = 40, 1e-3
PASSAGES, FOUND = 5, 12


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its passages, the clues of each unit, and which units have the fact."""

    labelled: Labelled
    passages: Sequence[Passage]
    units: Sequence[Unit]
    clues: Matrix
    facts: frozenset[str]
    is_right: Vector
    is_asked: bool = True

    @property
    def left_out(self) -> str:
        """The set that it is left out with."""
        return self.labelled.half


def read_cases(folder: Path) -> list[Case]:
    """Read the cases of every set that is here, with and without the passages that answer."""
    cases = []
    for name, index in indexes(folder).items():
        with closing(open_context(replace(Settings(), index=str(index)))) as library:
            for labelled in read_labelled(name):
                if labelled.half in NEVER_READ:
                    continue
                found = asyncio.run(library.retrieve(labelled.question, FOUND))
                own = asyncio.run(library.retrieve(labelled.question, PASSAGES))
                cases.append(_read_case(labelled, own))
                if labelled.is_answerable:
                    others = [one for one in found if not _has_fact(labelled, one, one.text)]
                    cases.append(_read_case(labelled, others[:PASSAGES], is_asked=False))
    return [case for case in cases if len(case.units)]


def _read_case(labelled: Labelled, passages: Sequence[Passage], *, is_asked: bool = True) -> Case:
    read = scores.read_unit_clues(labelled.question, passages)
    units = [unit for unit, _ in read]
    clues = np.array([[clues.get(name, 0.0) for name in scores.UNIT_WEIGHTS] for _, clues in read])
    right = [_has_fact(labelled, passages[unit.rank - 1], unit.text) for unit in units]
    facts = frozenset(unit.text for unit, clues in read if "fact" in clues)
    return Case(labelled, passages, units, clues, facts, np.array(right, float), is_asked)


def _has_fact(labelled: Labelled, passage: Passage, text: str) -> bool:
    """Tell whether a text of a passage has a fact that is asked for, in the right document."""
    return (
        labelled.is_answerable
        and passage.uri.startswith(labelled.sources)
        and any(says_fact(text, one) for alternatives in labelled.says for one in alternatives)
    )


def fit_scores(cases: Sequence[Case]) -> Vector:
    """Fit the weights of a unit: the likelihood that the unit chosen is one with the fact."""
    able = [case for case in cases if case.is_asked and 0 < case.is_right.sum() < len(case.units)]
    spread = np.concatenate([case.clues for case in able]).std(axis=0) + 1e-9

    def slope(weights: Vector) -> tuple[Vector, Matrix]:
        gradient, curve = RIDGE * weights, RIDGE * np.eye(len(weights))
        for case in able:
            rows = case.clues / spread
            shares = _share(rows @ weights)
            right = shares * case.is_right
            mean = shares @ rows
            gradient = gradient - (right / max(right.sum(), 1e-12)) @ rows + mean
            curve = curve + (rows * shares[:, None]).T @ rows - np.outer(mean, mean)
        return gradient, curve

    fitted: Vector = _descend(slope, len(spread)) / spread
    return fitted


def fit_answerability(cases: Sequence[Case], weights: Vector) -> Vector:
    """Fit the weights of a question: whether what is quoted has the fact."""
    rows, right = _read_questions(cases, weights)
    counts = np.array([1.0 if case.is_asked else TAKEN_AWAY for case in cases])
    spread = rows.std(axis=0) + 1e-9
    mean = rows.mean(axis=0)
    mean[0], spread[0] = 0.0, 1.0
    scaled = (rows - mean) / spread
    ridge = np.diag([0.0, *[RIDGE] * (rows.shape[1] - 1)])

    def slope(weights: Vector) -> tuple[Vector, Matrix]:
        likely = 1 / (1 + np.exp(-scaled @ weights))
        curve = (scaled * (counts * likely * (1 - likely))[:, None]).T @ scaled + ridge
        return scaled.T @ (counts * (likely - right)) + ridge @ weights, curve

    fitted: Vector = _descend(slope, rows.shape[1]) / spread
    fitted[0] -= fitted[1:] @ mean[1:]
    return fitted


def _descend(slope: Callable[[Vector], tuple[Vector, Matrix]], size: int) -> Vector:
    """Go down by Newton's steps, none longer than 1: the curve of the scores is an upper bound."""
    weights = np.zeros(size)
    for _ in range(STEPS):
        gradient, curve = slope(weights)
        step = np.linalg.solve(curve, gradient)
        length = float(np.linalg.norm(step))
        weights = weights - step / max(1.0, length)
        if length < ENOUGH:
            break
    return weights


def _share(values: Vector) -> Vector:
    likely = np.exp(values - values.max())
    shares: Vector = likely / likely.sum()
    return shares


def _weigh(case: Case, weights: Vector) -> list[Evidence]:
    return [
        Evidence(unit, float(score), unit.text in case.facts)
        for unit, score in zip(case.units, case.clues @ weights, strict=True)
    ]


def _read_questions(cases: Sequence[Case], weights: Vector) -> tuple[Matrix, Vector]:
    """Read the clues of each question, a 1 before them, and whether its answer has the fact."""
    rows, right = [], []
    for case in cases:
        evidence = _weigh(case, weights)
        clues = answerability.read_answer_clues(case.labelled.question, case.passages, evidence)
        rows.append(
            [1.0, *(clues.get(name, 0.0) for name in list(answerability.ANSWER_WEIGHTS)[1:])]
        )
        right.append(case.is_asked and _is_said(case, evidence))
    return np.array(rows), np.array(right, float)


def _is_said(case: Case, evidence: Sequence[Evidence]) -> bool:
    question = case.labelled.question
    wish = read_wish(question)
    kept = keep_what_is_asked(question, wish, evidence, case.passages)
    text = "\n".join(item.unit.text for item in choose_likely(kept, wish))
    return case.labelled.is_answerable and all(
        any(says_fact(text, one) for one in alternatives) for alternatives in case.labelled.says
    )


def _report(name: str, cases: Sequence[Case], weights: Vector, deciding: Vector) -> str:
    asked = [case for case in cases if case.is_asked]
    rows, right = _read_questions(asked, weights)
    is_answered = 1 / (1 + np.exp(-rows @ deciding)) >= answerability.LEAST
    able = np.array([case.labelled.is_answerable for case in asked])
    answered, facts = int((is_answered & able).sum()), int((is_answered & (right > 0)).sum())
    refused = int((~is_answered & ~able).sum())
    return (
        f"{name}: answered {answered}/{able.sum()}, with the fact {facts} "
        f"({facts / max(1, answered):.3f}), refused {refused}/{(~able).sum()}"
    )


def main() -> None:
    """Print the figures of each set left out, and the weights of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description=__doc__)
    parser.add_argument("--sets", type=Path, default=SETS)
    cases = read_cases(parser.parse_args().sets)
    for half in HALVES:
        others = [case for case in cases if case.left_out != half]
        own = [case for case in cases if case.left_out == half]
        if own:
            weights = fit_scores(others)
            print(_report(half, own, weights, fit_answerability(others, weights)))
    weights = fit_scores(cases)
    for names, fitted in (
        (scores.UNIT_WEIGHTS, weights),
        (answerability.ANSWER_WEIGHTS, fit_answerability(cases, weights)),
    ):
        print({name: round(float(one), 2) for name, one in zip(names, fitted, strict=True)})


if __name__ == "__main__":
    main()
