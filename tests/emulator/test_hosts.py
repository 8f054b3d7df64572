"""Pages of strangers that reach for the developer's machine."""

import asyncio
from collections.abc import Iterator

import pytest

from emulator.runtime_api import RuntimeApi
from tests.emulator.support import RunningCloud, ask, run_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningCloud]:
    with run_cloud() as one:
        yield one


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil", "a b"]
)
def test_a_rebound_page_is_answered_by_no_front(cloud: RunningCloud, host: str) -> None:
    """Its name leads here, and is not ours."""
    for name, url in cloud.cloud.urls.items():
        got = ask(url + "/api/chat", headers=[("Host", host)])
        assert (got.status, b"does not answer" in got.body) == (403, True), name


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8888", "192.0.2.1"])
def test_a_name_that_leads_here_is_served(cloud: RunningCloud, host: str) -> None:
    """localhost and addresses: no one can have them lead elsewhere."""
    got = ask(cloud.url("netlify") + "/api/nothing", headers=[("Host", host)])
    assert b"does not answer" not in got.body


@pytest.mark.parametrize(
    "header",
    [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")],
)
def test_a_page_cannot_invoke_a_function(cloud: RunningCloud, header: tuple[str, str]) -> None:
    """AWS would want a signature, which no page can make."""
    path = "/2015-03-31/functions/Plain/invocations"
    headers = [("Content-Type", "text/plain"), header]
    got = ask(cloud.url("invoke") + path, method="POST", headers=headers, body=b"{}")
    assert (got.status, b"signed" in got.body) == (403, True)
    served = ask(cloud.url("invoke") + path, method="POST", headers=headers[:1], body=b"{}")
    assert served.status != 403


@pytest.mark.anyio
async def test_a_page_is_no_runtime() -> None:
    """It would be given the visitors' questions, and could answer them."""
    api = RuntimeApi()
    await api.start()
    try:
        path = f"http://{api.address}/2018-06-01/runtime/invocation/next"
        for host in ("evil.example", "127.0.0.1.evil.example"):
            got = await asyncio.to_thread(ask, path, headers=[("Host", host)])
            assert (got.status, b"does not answer" in got.body) == (403, True)
        # An image of a page that knows the port would take an invocation, and tell no one.
        for header in (("Origin", "null"), ("Sec-Fetch-Site", "cross-site")):
            got = await asyncio.to_thread(ask, path, headers=[header])
            assert (got.status, got.body) == (403, b"This server answers to no page.\n")
        assert not api.ready.is_set()
        served = await asyncio.to_thread(ask, f"http://{api.address}/2018-06-01/ping")
        assert (served.status, served.body) == (200, b"pong")
    finally:
        await api.close()
