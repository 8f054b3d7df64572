"""The same server twice: in one process, and as functions under the emulator."""

from collections.abc import Iterator

import pytest

from tests.functions.serving import Server, run_server
from tests.functions.snippets.hearing import Ears, ears


@pytest.fixture(scope="module", params=["functions", "emulator"])
def server(
    request: pytest.FixtureRequest,
    environ: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """`make serve` and `make dev`, as a person starts them."""
    folder = tmp_path_factory.mktemp(request.param)
    # The emulator's functions are processes of their own, and share a log on disk.
    kept = {"RIVERRUN_LOG": "sqlite://", "RIVERRUN_DATA_DIR": str(folder)}
    with run_server(environ | kept, request.param) as running:
        yield running


@pytest.fixture(scope="module")
def hear() -> Iterator[Ears]:
    """What the clients of the documentation's snippets received."""
    with ears() as listening:
        yield listening
