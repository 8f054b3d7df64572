"""One cloud of each temperament per test module; starting one takes a third of a second."""

from collections.abc import Iterator

import pytest

from tests.emulator.support import Gate, Running, running


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    """One process per function, many invocations at once."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def classic() -> Iterator[Running]:
    """One invocation per sandbox, frozen in between."""
    with running(concurrency=None) as started:
        yield started


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate for the function to ask at."""
    one = Gate()
    yield one
    one.close()
