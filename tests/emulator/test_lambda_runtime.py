"""The product's runtime under the emulator; they share no code, only the protocol."""

import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulator.support import FUNCTIONS, Gate, RunningCloud, ask, raw, read_until, run_cloud
from tests.emulator.test_function import open_files

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("services.lambda_runtime") is None,
    reason="services.lambda_runtime is not in this tree yet",
)
TEMPLATE = FUNCTIONS / "asgi" / "template.yaml"


@pytest.fixture(scope="module", params=[256, None], ids=["concurrent", "on demand"])
def cloud(request: pytest.FixtureRequest) -> Iterator[RunningCloud]:
    """In one process, and in one process each."""
    with run_cloud(TEMPLATE, concurrency=request.param) as started:
        yield started


def test_each_frame_is_read_before_the_next_is_written(cloud: RunningCloud, gate: Gate) -> None:
    """Through the runtime and the front, nothing holds a byte back."""
    with raw(cloud.url("url app"), f"/?gate={gate.port}&count=3") as sock:
        assert b"data: 1" not in read_until(sock, b"data: 0\n\n")
        gate.open()
        assert b"data: 2" not in read_until(sock, b"data: 1\n\n")
        gate.open()
        assert read_until(sock, b"0\r\n\r\n").endswith(b"data: 2\n\n\r\n0\r\n\r\n")


def test_an_http_api_gets_a_whole_answer(cloud: RunningCloud) -> None:
    """A bare `Type: HttpApi` writes a function URL's payload, but for the domain."""
    got = ask(cloud.url("http") + "/any/path?count=3")
    assert (got.status, got.body) == (200, b"data: 0\n\ndata: 1\n\ndata: 2\n\n")
    assert got.header("content-type").startswith("text/event-stream")


def test_stream_after_stream_leaves_nothing_behind(cloud: RunningCloud) -> None:
    """Three hundred in a row, all whole; file descriptors are what they were."""
    ask(cloud.url("url app"))
    sandbox = cloud.cloud.functions["app"].sandboxes[0]
    before = open_files(sandbox.pid)
    for _ in range(300):
        got = ask(cloud.url("url app") + "/?count=5")
        assert (got.whole, got.body.count(b"data")) == (True, 5)
    assert open_files(sandbox.pid) <= before + 8


def test_many_streams_at_once(cloud: RunningCloud) -> None:
    """Two hundred on a laptop, in one process; twenty where each needs its own."""
    many = 200 if cloud.cloud.functions["app"].concurrency else 20
    with ThreadPoolExecutor(many) as pool:
        for got in pool.map(lambda _: ask(cloud.url("url app") + "/?count=50"), range(many)):
            assert (got.status, got.whole, got.body.count(b"data")) == (200, True, 50)
