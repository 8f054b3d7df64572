"""The names that a server on this machine answers to, and the page with the headers it says."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from services.settings import ROOT
from services.streaming.http.hosts import KnownHosts, is_loopback
from services.streaming.http.page import PageFiles, read_headers


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("served")(scope, receive, send)


CLIENT = TestClient(KnownHosts(answer, ("dev.example",)))


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8888", "LOCALHOST", "127.0.0.1", "127.0.0.1:1", "[::1]:8888",
        "192.0.2.1", "dev.example", "Dev.Example:8888", "localhost.",
    ],
)  # fmt: skip
def test_a_name_that_leads_here_is_served(host: str) -> None:
    """No one can have an address, or localhost, lead elsewhere."""
    assert CLIENT.get("/", headers={"Host": host}).text == "served"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example", "evil.example:8888", "127.0.0.1.evil.example",
        "", " ", "localhost:8888:1", "user@localhost", "localhost/x", "127.0.0.1x", "0x7f.1",
        "2130706433", "[::1", "localhost\t", "dev.example.evil.example",
    ],
)  # fmt: skip
def test_a_name_of_a_page_is_refused(host: str) -> None:
    """Its browser would let the page ask and read."""
    refused = CLIENT.get("/", headers={"Host": host})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_a_listener_is_for_this_machine_or_it_is_not() -> None:
    """By its address."""
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [
        True
    ] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.0.2.1", "example")] == [False] * 4


def test_the_page_has_the_headers_that_it_says() -> None:
    """Its Content-Security-Policy above all; the file that says so is not served."""
    site = ROOT / "netlify" / "site"
    client = TestClient(Starlette(routes=[Mount("/", PageFiles(directory=site, html=True))]))
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in page.headers
    assert client.get("/_headers").status_code == 404


def test_the_page_says_which_pages_may_show_it_in_a_frame() -> None:
    """None, until they are listed; the rest of its policy stays."""
    site = ROOT / "netlify" / "site"
    policies = []
    for origins in ((), ("http://localhost:3000", "https://a.example")):
        files = PageFiles(directory=site, frame_origins=origins, html=True)
        page = TestClient(Starlette(routes=[Mount("/", files)])).get("/")
        policies.append(page.headers["content-security-policy"])
    listed = "frame-ancestors http://localhost:3000 https://a.example"
    assert policies[1] == policies[0].replace("frame-ancestors 'none'", listed) != policies[0]


def test_only_headers_of_every_path_are_read(tmp_path: Path) -> None:
    """As the host reads them."""
    path = tmp_path / "_headers"
    path.write_text("/a/*\n  X-A: 1\n/*\n  X-B: 2: 3\n  # no header\n/c\n  X-C: 4\n")
    assert read_headers(path) == {"X-B": "2: 3"}
    assert read_headers(tmp_path / "none") == {}
