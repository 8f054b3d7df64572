"""One cloud of each temperament per test module; starting one takes a third of a second."""

from collections.abc import Iterator

import pytest

from tests.emulator.support import Gate, RunningCloud, run_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningCloud]:
    """One process per function, many invocations at once."""
    with run_cloud() as started:
        yield started


@pytest.fixture(scope="module")
def classic() -> Iterator[RunningCloud]:
    """One invocation per sandbox, frozen in between."""
    with run_cloud(concurrency=None) as started:
        yield started


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate for the function to ask at."""
    one = Gate()
    yield one
    one.close()
