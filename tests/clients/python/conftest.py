"""Both clients, by the same name."""

import pytest

from tests.clients.python.both import Both, Kind


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest) -> Both:
    """A client of either kind."""
    kind: Kind = request.param
    return Both(kind)
