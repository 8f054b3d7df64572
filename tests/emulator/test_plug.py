"""The plug: it kills what is answering, and obeys nothing but the page of this machine."""

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.emulator.support import Gate, Got, RunningCloud, ask, raw, read_until, run_cloud
from tests.emulator.test_function import pids, write_template

HERE = ("Host", "localhost")
JSON = ("Content-Type", "application/json")
OURS = ("Sec-Fetch-Site", "same-origin")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A template of one function, and a site with one page."""
    (tmp_path / "netlify.toml").write_text('[build]\npublish = "site"\n')
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<p>page")
    (tmp_path / "site" / "page.js").write_text("1")
    return write_template(tmp_path)


def pull(cloud: RunningCloud, *headers: tuple[str, str]) -> Got:
    url = f"{cloud.url('netlify')}/.riverrun/plug"
    return ask(url, method="POST", headers=headers, body=b"{}")


def test_the_page_kills_the_function_that_answers_it(site: Path, gate: Gate) -> None:
    """The answer breaks off, and the next question meets a new process."""
    order = {"say": ["data: 1\n\n", "data: 2\n\n"], "gate": gate.port}
    with run_cloud(site) as cloud:
        url = cloud.url("netlify")
        page = ask(f"{url}/", headers=[HERE])
        assert page.header("server-timing") == "riverrun-plug"
        assert ask(f"{url}/page.js", headers=[HERE]).header("server-timing") == ""
        assert pull(cloud, HERE, OURS, JSON).json == {"killed": []}
        with raw(url, f"/api/one?do={quote(json.dumps(order))}") as answer:
            read_until(answer, b"data: 1\n\n")
            before = pids(cloud, "one")
            assert pull(cloud, HERE, OURS, JSON).json == {"killed": ["one"]}
            while data := answer.recv(65536):
                assert b"0\r\n\r\n" not in data
        assert ask(f"{url}/api/one", {"say": ["alive"]}).body == b"alive"
        assert pids(cloud, "one") != before


@pytest.mark.parametrize(
    "headers",
    [
        (HERE, JSON),
        (HERE, ("Sec-Fetch-Site", "cross-site"), JSON),
        (HERE, ("Sec-Fetch-Site", "same-site"), JSON),
        (HERE, OURS, ("Content-Type", "text/plain")),
        (("Host", "rebound.example"), OURS, JSON),
        (("Host", "192.168.1.7"), OURS, JSON),
    ],
)
def test_no_other_page_can_pull_it(site: Path, headers: Sequence[tuple[str, str]]) -> None:
    """Neither another origin, nor a name that was bent to this machine; nor is it shown there."""
    with run_cloud(site) as cloud:
        assert pull(cloud, *headers).status == 403
        if headers[0] != HERE:
            page = ask(f"{cloud.url('netlify')}/", headers=headers[:1])
            assert page.header("server-timing") == ""
