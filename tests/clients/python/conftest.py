"""Both clients, by the same name; and one product to ask for each module."""

from collections.abc import Iterator

import pytest

from tests.clients.python.both import Both, Kind
from tests.clients.python.serving import Product, product


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest) -> Both:
    """A client of either kind."""
    kind: Kind = request.param
    return Both(kind)


@pytest.fixture(scope="module")
def product_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product under the emulator."""
    with product(tmp_path_factory.mktemp("product")) as started:
        yield started
