"""The settings of the machine: proxies and certificates that are unusable, or that refuse."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from riverrun_client import AsyncClient, Client, GaveUpError, RefusedError, SetupError
from riverrun_client.network import find_proxy
from riverrun_client.retry_policy import RetryPolicy
from tests.clients.python.cli.test_command import environ
from tests.clients.python.scripted_server import WHOLE, Answer, run_script

UNUSABLE = [
    ({"ALL_PROXY": "socks5://127.0.0.1:1"}, "proxy_unusable"),
    ({"ALL_PROXY": "socks://127.0.0.1:1"}, "proxy_unusable"),
    ({"HTTPS_PROXY": "ftp://127.0.0.1"}, "proxy_unusable"),
    ({"HTTP_PROXY": "proxy:port"}, "proxy_unusable"),
    ({"SSL_CERT_FILE": "/nowhere.pem"}, "certificates_unusable"),
    ({"SSL_CERT_FILE": __file__}, "certificates_unusable"),
]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(("settings", "code"), UNUSABLE)
def test_settings_that_cannot_be_used_are_named(
    settings: dict[str, str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typed error before anything is sent, with the variables to mend; no traceback."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for client in (Client, AsyncClient):
        with pytest.raises(SetupError, match=next(iter(settings)).partition("_")[0]) as caught:
            client("http://127.0.0.1:1")
        assert caught.value.code == code


def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command under these settings."""
    environment = {k: v for k, v in environ("http://127.0.0.1:1").items() if k not in PROXIES}
    return subprocess.run(
        [sys.executable, "-m", "riverrun_client", *arguments],
        env=environment | settings, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [("x",), ("bench", "-n", "1"), ("--json", "x")])
def test_the_command_says_it_in_a_sentence(arguments: tuple[str, ...]) -> None:
    """Exit status 2: there is something to set right here."""
    done = command(*arguments, ALL_PROXY="socks5://127.0.0.1:1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if "--json" in arguments:
        assert json.loads(done.stdout)["code"] == "proxy_unusable"
    else:
        assert "proxy_unusable" in done.stderr


@contextmanager
def proxy(answer: bytes) -> Iterator[str]:
    """A proxy that answers every request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    line, _ = listening.accept()
                except OSError:
                    return
                with line:
                    line.recv(65536)
                    line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            thread.join()


REFUSAL = b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("status", [b"403 Forbidden", b"407 Proxy Authentication Required"])
def test_a_proxy_that_refuses_a_tunnel_is_named(
    status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the server; and it is asked once."""
    with proxy(REFUSAL % status) as address:
        monkeypatch.setenv("HTTPS_PROXY", address.replace("//", "//user:secret@"))
        with Client("https://server.example") as client, pytest.raises(SetupError) as caught:
            client.ask("x")
        assert caught.value.code == "proxy_refused"
        assert address in caught.value.message
        assert "secret" not in str(caught.value)

        async def ask() -> None:
            async with AsyncClient("https://server.example") as client:
                await client.ask("x")

        with pytest.raises(SetupError, match="refuses"):
            asyncio.run(ask())


def test_a_proxy_that_answers_in_the_servers_place_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without TLS its answer looks like the server's; what has no error object may be its."""
    for status, error in ((b"407 Who", SetupError), (b"403 Forbidden", RefusedError)):
        with proxy(REFUSAL % status) as address:
            monkeypatch.setenv("HTTP_PROXY", address)
            with Client("http://server.example") as client, pytest.raises(error) as caught:
                client.ask("x")
            assert f"proxy {address}" in caught.value.message


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is the proxy's."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    policy = RetryPolicy(max_retries=0, max_unanswered=0)
    with (
        Client("http://server.example", retry_policy=policy) as client,
        pytest.raises(GaveUpError, match=r"through the proxy http://127\.0\.0\.1:1: ") as caught,
    ):
        client.ask("x")
    assert caught.value.code == "unreachable"


def test_a_server_that_the_proxy_is_not_for_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NO_PROXY names it."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with run_script(Answer(WHOLE)) as server, Client(server.url) as client:
        assert client.ask("x").answer == "One two three."
        assert find_proxy(server.url) == ""


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "<&-", "<&- 1>&- 2>&-"])
def test_a_stream_that_is_closed_is_no_traceback(closed: str) -> None:
    """As under some services and schedulers."""
    with run_script(Answer(WHOLE)) as server:
        done = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -m riverrun_client x {closed}'],
            env=environ(server.url), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        asked = len(server.asked)
    assert (done.returncode, asked) == (0, 1)
    assert "Traceback" not in done.stderr
    assert ("One two three." in done.stdout) == ("1>&-" not in closed)


def test_a_full_disk_is_a_sentence() -> None:
    """What cannot be written is said where it can be."""
    with run_script(Answer(WHOLE)) as server:
        done = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -m riverrun_client x >/dev/full'],
            env=environ(server.url), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 141
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_question(encoding: str) -> None:
    """As an editor or PowerShell writes it."""
    with run_script(Answer(WHOLE)) as server:
        subprocess.run(
            [sys.executable, "-m", "riverrun_client", "-"],
            env=environ(server.url), input="Wie spät?".encode(encoding), capture_output=True,
            timeout=120, check=True,
        )  # fmt: skip
        assert server.asked[0].json()["query"] == "Wie spät?"
