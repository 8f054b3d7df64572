"""The weights of the embedded engine are what the labelled questions say."""

import numpy as np

from benchmarks.answers import Labelled
from benchmarks.fit import Case, fit_answerability, fit_scores
from services.chat.providers import answerability, scores
from tests.services.chat.providers.bag import passage

NAMES = list(scores.UNIT_WEIGHTS)


def make_case(number: int, *, is_answerable: bool) -> Case:
    """A question whose answer is the unit with the fact; without one nothing has it."""
    question = f"How many towers has castle {number}?"
    lines = ("It has two towers of stone.", "The hill is green there.", "A road goes by.")
    found = passage(question, "Castles", *(lines if is_answerable else lines[1:]))
    says, sources = ((("two towers",),), ("castles",)) if is_answerable else ((), ())
    read = scores.read_unit_clues(question, (found,))
    clues = np.array([[one.get(name, 0.0) for name in NAMES] for _, one in read])
    right = np.array([float("two" in unit.text) for unit, _ in read])
    facts = frozenset(unit.text for unit, one in read if "fact" in one)
    labelled = Labelled(question, says, sources)
    return Case(labelled, (found,), [unit for unit, _ in read], clues, facts, right)


CASES = [make_case(number, is_answerable=number % 2 == 0) for number in range(12)]


def test_what_the_right_units_have_gets_weight() -> None:
    """And what none of them has gets none."""
    weights = dict(zip(NAMES, fit_scores(CASES), strict=True))
    assert weights["fact"] > 0.1
    assert abs(weights["reason"]) < 1e-6


def test_what_lacks_the_fact_is_less_likely_answered() -> None:
    """Learned from the questions that the documents do not answer."""
    fitted = fit_answerability(CASES, fit_scores(CASES))
    deciding = dict(zip(answerability.ANSWER_WEIGHTS, fitted, strict=True))
    assert deciding["lacks fact"] < -0.1
    assert deciding["lacks kind"] == 0
