"""One `netlify dev` for the module that asks, in front of the emulator with a scripted model."""

from collections.abc import Iterator

import pytest

from services.settings import ROOT
from tests.emulator.support import RunningCloud, run_cloud
from tests.functions.conftest import environ, index, script
from tests.functions.serving import Server
from tests.functions.snippets.conftest import hear
from tests.netlify_dev.dev import find_processes, netlify_dev

__all__ = ["environ", "hear", "index", "script"]


@pytest.fixture(scope="module")
def cloud(environ: dict[str, str]) -> Iterator[RunningCloud]:
    """The repository's own template."""
    with run_cloud(ROOT / "template.yaml", environ=environ) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def dev(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`netlify dev`, whose gateway signs for the function URL of `chat`."""
    upstream = {
        "RIVERRUN_UPSTREAM": cloud.url("url chat"),
        "RIVERRUN_UPSTREAM_KEY_ID": "AKIDEXAMPLE",
        "RIVERRUN_UPSTREAM_SECRET_KEY": "any",
        "RIVERRUN_UPSTREAM_REGION": "eu-west-1",
    }
    with netlify_dev(tmp_path_factory.mktemp("netlify"), upstream) as server:
        yield server
    # What it started has ended with it, and what it wrote is in its own folder.
    assert find_processes(server.process.pid) == []
    with pytest.raises(ConnectionRefusedError):
        server.ask("/")
    assert not [place for place in (ROOT, ROOT / "netlify") if (place / ".netlify").exists()]
