"""The figures of `bench`."""

import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun_client.cli.bench import Measurements, compute_percentile, format_table, summarize


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.001, 1))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(
    values: list[float], part: float
) -> None:
    """Nearest rank: one of the values, and the smallest that will do."""
    ordered = sorted(values)
    found = compute_percentile(ordered, part)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * part - 1e-6
    assert sum(value < found for value in values) < len(values) * part + 1e-6


@pytest.mark.parametrize(("part", "value"), [(0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)])
def test_percentiles_of_four(part: float, value: int) -> None:
    """Known by hand."""
    assert compute_percentile([1, 2, 3, 4], part) == value
    assert statistics.median_low([1, 2, 3, 4]) == compute_percentile([1, 2, 3, 4], 0.5)


def test_nothing_measured_is_no_division_by_nought() -> None:
    """Every question failed."""
    report = summarize(Measurements(errors=Counter({"unreachable": 3})))
    assert (report["answered"], report["failed"], report["completeMs"]) == (0, 3, None)
    assert report["eventsPerSecond"] == 0
    assert "  3 x unreachable" in format_table(report)
