"""What every test stands on: asyncio, and no way out to the network."""

import gc
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.browser import Browser, find_chromium

# The suite of rules that every store keeps explains its failures as a test does. Here, before
# any test can have imported it.
pytest.register_assert_rewrite("tests.services.runs.conformance")

# The tests start hundreds of Python processes. A shell that says to keep no bytecode has each of
# them compile the product anew, and each worker every test: a fifth of the whole run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A run that a shell put into the background ignores Ctrl-C, and so would the programs it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time, and hypothesis's deadline is one: a busy machine would fail it.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

GUARD = Path(__file__).parent / "guard"

ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
    # Nothing listens at port 1; a test that means a fake sets its endpoint instead.
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each worker its share of the slow modules, and have it begin with them.

    A worker that is done takes tests of others from their end: there the quick ones are then, and
    no worker is left alone with a long one. Modules stay together, in the order they had.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    modules = [list(found) for _, found in groupby(items, lambda item: item.path)]
    slow = [module for module in modules if any(map(is_slow, module))]
    quick = [item for module in modules if not any(map(is_slow, module)) for item in module]
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for module in slow:
        min(shares, key=len).extend(module)
    items.clear()
    # Each worker is given as many tests as the others.
    left = len(quick) + sum(map(len, shares))
    for number, share in enumerate(shares):
        size = left // (workers - number)
        more = max(0, size - len(share))
        items += share + quick[:more]
        del quick[:more]
        left -= size
    items += quick


def is_slow(item: pytest.Item) -> bool:
    """Whether a test starts processes, or takes seconds."""
    return any(item.get_closest_marker(name) for name in ("slow", "browser", "node"))


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the collector's sight: it stays to the end.

    A full collection then looks at what tests make, not at a million objects of the libraries.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def nobodys_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give boto3 an account that does not exist, and endpoints where nothing answers.

    Programs that a test starts inherit it; Python ones are ended when they leave this machine.
    """
    for name in [name for name in os.environ if name.startswith(("AWS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(GUARD), prepend=os.pathsep)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for each process of the test run."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("Chromium is not on the PATH")
    with Browser(chromium) as running:
        yield running


class NetworkReachedError(AssertionError):
    """A test tried to leave this machine."""


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = address[0]
    try:
        return host in ("", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any test that connects to, or asks the name of, anything but this machine."""
    connect, connect_ex, lookup = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def guard(real: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address):
                raise NetworkReachedError(f"a test tried to reach {address!r}")
            return real(self, address)

        return call

    def guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_local((name,)):
            raise NetworkReachedError(f"a test tried to look up {name!r}")
        return lookup(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guard(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guard(connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)
