"""The answers that a newcomer sees first, over the shipped guide."""

import pytest

from benchmarks.samples import Sample, ask_all, read_samples

pytestmark = pytest.mark.slow


def test_each_sample_says_what_it_has_to_and_nothing_else_that_is_known() -> None:
    """Kinds: plan, compare, list, best, how many, when, yes or no, typos, small talk, refusals."""
    found = ask_all()
    assert len(found) >= 40
    faults = {
        sample.question: (sample.find_faults(answer), answer)
        for sample, answer in found
        if sample.find_faults(answer)
    }
    assert not faults


def test_a_fault_is_what_lacks_or_should_not_be_there() -> None:
    """One of each group has to be said."""
    sample = Sample((), "?", (("a", "b"), ("c",)), ("d",))
    assert sample.find_faults("b c") == []
    assert sample.find_faults("c d") == ["lacks a / b", "has d"]


def test_no_sample_is_there_twice() -> None:
    """With what was asked before it."""
    asked = [(one.earlier, one.question) for one in read_samples()]
    assert len(set(asked)) == len(asked)
