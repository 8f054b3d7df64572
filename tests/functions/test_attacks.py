"""Every attack of the table, on every host: the promised status, and never a run."""

import http.client
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.settings import ROOT
from tests.emulator.support import run_cloud
from tests.functions.attack import Attack, post
from tests.functions.attacks import ATTACKS
from tests.functions.hosts import run_host
from tests.functions.serving import run_server
from tests.netlify.gateway.hosts import run_gateway

# A signature that the emulator takes: it looks whether there is one.
SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=A/20261130/eu-west-1/lambda/aws4_request, SignedHeaders=h, "
    "Signature=0"
)
UPSTREAM_KEYS = {
    "RIVERRUN_UPSTREAM_KEY_ID": "A",
    "RIVERRUN_UPSTREAM_SECRET_KEY": "a secret",
    "RIVERRUN_UPSTREAM_REGION": "eu-west-1",
    "RIVERRUN_GATEWAY_PER_MINUTE": "0",
}


class Host:
    """One of the ways to the functions, and the log of runs behind it."""

    def __init__(self, name: str, url: str, log: Path, *, signs: bool = False) -> None:
        self.name = name
        self._parts = urlsplit(url)
        self._log = log
        self._signs = signs

    def ask(self, attack: Attack) -> tuple[int, bytes]:
        """Send a request as it is written; a header of `Authorization` moves beside a signature."""
        headers = dict(attack.headers)
        if self._signs:
            if (own := headers.pop("Authorization", None)) is not None:
                headers["X-Riverrun-Authorization"] = own
            headers["Authorization"] = SIGNATURE
        connection = http.client.HTTPConnection(
            self._parts.hostname or "", self._parts.port, timeout=60
        )
        try:
            connection.putrequest(
                attack.method, attack.path, skip_host="Host" in headers, skip_accept_encoding=True
            )
            for name, value in headers.items():
                connection.putheader(name, value.encode("latin-1"))
            if attack.body is not None or attack.method == "POST":
                connection.putheader("Content-Length", str(len(attack.body or b"")))
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was read
                connection.endheaders(attack.body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def count_runs(self) -> int:
        """Count the runs that were ever started."""
        if not self._log.exists():
            return 0  # a function opens it with the first request that needs it
        with closing(sqlite3.connect(f"file:{self._log}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM runs").fetchone()[0])


def settings_of(log: Path, script: Path, index: Path) -> dict[str, str]:
    return {
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_LOG": f"sqlite://{log}",
        "RIVERRUN_API_KEYS": "alpha,beta",
        "RIVERRUN_ALLOWED_ORIGINS": "https://page.example",
        "PORT": "0",
    }


@pytest.fixture(scope="module")
def host(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    script: Path,
    index: Path,
) -> Iterator[Host]:
    """The ASGI server, the function behind its URL, the gateway before that; a Web Function."""
    folder = tmp_path_factory.mktemp("attacked")
    environ = settings_of(folder / "runs.sqlite", script, index)
    if request.param == "server":
        with run_server(environ) as server:
            yield Host("server", server.url, folder / "runs.sqlite")
        return
    del environ["PORT"]
    if request.param == "web":
        said = json.loads(script.read_text("utf-8"))
        with run_host("web", folder, index, said, timeout=60, environ=environ) as started:
            yield Host("web", started.url("web web"), folder / "runs.sqlite")
        return
    path = {"PATH": os.environ["PATH"]}
    with run_cloud(ROOT / "template.yaml", environ=environ | path) as cloud:
        url = cloud.url("url chat")
        if request.param == "function":
            yield Host("function", url, folder / "runs.sqlite", signs=True)
            return
        with run_gateway("node", folder, {"RIVERRUN_UPSTREAM": url, **UPSTREAM_KEYS}) as gateway:
            yield Host("gateway", gateway.url, folder / "runs.sqlite")


@pytest.mark.xdist_group("attacks")
@pytest.mark.parametrize("host", ["server", "function", "gateway", "web"], indirect=True)
def test_no_attack_gets_what_it_is_after(host: Host) -> None:
    """Each is answered as promised, in the contract's shape, and starts no run."""
    wrong = []
    before = host.count_runs()
    for attack in ATTACKS:
        if host.name not in attack.hosts:
            continue
        status, body = host.ask(attack)
        said = _read(body)
        code = said.get("code", "") if isinstance(said, dict) else ""
        if status != attack.status or (attack.code and code != attack.code):
            wrong.append(f"{attack.name}: {status} {code} and not {attack.status} {attack.code}")
        if b"Traceback" in body or b"alpha" in body:
            wrong.append(f"{attack.name}: tells too much")
        if host.count_runs() != before:
            wrong.append(f"{attack.name}: started a run")
            before = host.count_runs()
    assert wrong == []
    # And one that is none is served: what refused the others was not a host that refuses all.
    status, body = host.ask(post("no attack", 200, "", {"query": "count to a hundred"}))
    assert (status, b"99" in body) == (200, True), body
    assert host.count_runs() == before + 1


def test_the_table_is_as_long_as_it_was() -> None:
    """A row that is lost guards nothing."""
    assert len(ATTACKS) >= 400
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
