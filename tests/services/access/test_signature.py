"""Signed visitors, links and sessions: for what was said, until then, and nothing else."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.access import Access, AccessError
from services.access.fetch import LARGEST_RESPONSE, FetchError, fetch_json
from services.access.signature import sign, verify
from services.ledger.memory import MemoryLedger
from services.public_settings import AccessSettings

pytestmark = pytest.mark.anyio
SECRETS = ("a secret of sixteen", "another of sixteen")


class Clock:
    now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


@given(st.dictionaries(st.text(), st.text() | st.integers()), st.text(max_size=8))
def test_what_was_signed_is_read_and_nothing_else(said: dict[str, Any], kind: str) -> None:
    """Under any of the secrets, for its own kind."""
    kind = "".join(c for c in kind if c.isascii() and c.isalnum()) or "k"
    token = sign(kind, said, SECRETS)
    if len(token) > 2048:
        return
    assert verify(kind, token, SECRETS) == said
    assert verify(kind, token, SECRETS[::-1]) == said
    assert verify(kind, token, SECRETS[1:]) is None
    assert verify(kind + "x", token, SECRETS) is None
    assert verify(kind, f"{kind}x{token[len(kind) :]}", SECRETS) is None


@given(st.text() | st.from_regex(r"rv1\.[\w-]*\.[\w-]*"))
def test_what_was_not_signed_is_none(token: str) -> None:
    """Whatever it looks like."""
    assert verify("rv1", token, SECRETS) is None


async def test_a_stranger_is_a_visitor_for_a_week() -> None:
    """Each one apart; another installation's token is nothing here."""
    clock = Clock()
    settings = AccessSettings(anonymous=True, signing_secrets=SECRETS)
    access = Access(settings, (), MemoryLedger, clock=clock)
    token, expires = await access.admit_visitor("", "")
    other, _ = await access.admit_visitor("", "")
    one, two = await access.identify(token), await access.identify(other)
    assert (one.kind, one.owner == two.owner, one.owner is None) == ("visitor", False, False)
    clock.now = expires
    for bad in (token, other.upper(), other[:-1], "rv1.e30.x", ""):
        with pytest.raises(AccessError):
            await access.identify(bad)
    closed = Access(AccessSettings(signing_secrets=SECRETS), ("key",), MemoryLedger, clock=Clock())
    for call in (closed.identify(token), closed.admit_visitor("", "")):
        with pytest.raises(AccessError):
            await call


async def test_a_link_reads_one_run_for_a_few_minutes() -> None:
    """No other run, no other owner, no question."""
    clock = Clock()
    access = Access(AccessSettings(signing_secrets=SECRETS), ("key",), MemoryLedger, clock=clock)
    token, expires = await access.make_link("r1", "owner")
    assert (await access.follow_link(token, "r1")).owner == "owner"
    newer = AccessSettings(signing_secrets=("another of sixteen", *SECRETS))
    assert (
        await Access(newer, (), MemoryLedger, clock=clock).follow_link(token, "r1")
    ).owner == "owner"
    for run, bad in (("r2", token), ("r1", token[:-1]), ("r1", ""), ("r1", "rl1." * 99)):
        with pytest.raises(AccessError):
            await access.follow_link(bad, run)
    with pytest.raises(AccessError):
        await access.identify(token)
    clock.now = expires
    with pytest.raises(AccessError):
        await access.follow_link(token, "r1")


async def test_a_link_does_not_tell_whose_it_is() -> None:
    """It stands in URLs and logs: the owner of a plain key is a hash of it, which can be tried."""
    access = Access(AccessSettings(signing_secrets=SECRETS), ("key",), MemoryLedger)
    owner = (await access.identify("key")).owner
    assert owner is not None
    token, _ = await access.make_link("r1", owner)
    said = base64.urlsafe_b64decode(token.split(".")[1] + "==")
    for told in (owner.encode(), bytes.fromhex(owner), owner.encode().hex().encode()):
        assert told not in said
    # Nor does a second one tell what both have in common.
    other, _ = await access.make_link("r2", owner)
    masked = [
        json.loads(base64.urlsafe_b64decode(one.split(".")[1] + "=="))["owner"]
        for one in (token, other)
    ]
    assert masked[0] != masked[1]
    assert (await access.follow_link(other, "r2")).owner == owner
    open_link, _ = await access.make_link("r3", None)
    assert (await access.follow_link(open_link, "r3")).owner is None


async def test_processes_of_one_log_share_a_secret_that_nobody_set() -> None:
    """Made once, in the ledger."""
    ledger = MemoryLedger()
    one, other = (Access(AccessSettings(), (), lambda: ledger) for _ in range(2))
    name = await one.name_session()
    assert await other.knows_session(name)
    assert not await Access(AccessSettings(), (), MemoryLedger).knows_session(name)
    for made_up in ("alice", "rs1.e30.x", name + "x"):
        assert not await other.knows_session(made_up)


@contextmanager
def answering(
    body: bytes, status: int = 200, location: str = ""
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers everything alike, and what it was sent."""
    seen: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/verify", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "status", "is_let_in"),
    [
        (b'{"success": true}', 200, True),
        (b'{"success": false}', 200, False),
        (b'{"success": "true"}', 200, False),
        (b"[]", 200, False),
        (b"", 200, False),
        (b'{"success": true}', 500, False),
        (b" " * LARGEST_RESPONSE + b'{"success": true}', 200, False),
    ],
)
async def test_a_challenge_lets_in_who_passes_it(body: bytes, status: int, is_let_in: bool) -> None:
    """A service that fails lets no one in."""
    with answering(body, status) as (url, seen):
        settings = AccessSettings(
            anonymous=True,
            signing_secrets=SECRETS,
            challenge_url=url,
            challenge_secret="s",
        )
        access = Access(settings, (), MemoryLedger)
        with pytest.raises(AccessError):
            await access.admit_visitor("", "192.0.2.1")
        if is_let_in:
            assert await access.admit_visitor("ans&wer", "192.0.2.1")
            assert seen == [b"secret=s&response=ans%26wer&remoteip=192.0.2.1"]
        else:
            with pytest.raises(AccessError):
                await access.admit_visitor("ans&wer", "192.0.2.1")


def test_what_is_fetched_is_not_sent_elsewhere() -> None:
    """No redirect, no plain http but to this machine, no file."""
    with answering(b"{}") as (other, seen), answering(b"", 307, other) as (url, _):
        with pytest.raises(FetchError):
            fetch_json(url, {"secret": "s"})
        assert seen == []
    for address in ("http://example.com/", "file:///etc/passwd", "ftp://localhost/x", "x"):
        with pytest.raises(FetchError):
            fetch_json(address)
    with answering(json.dumps({"a": [1]}).encode()) as (url, _):
        assert fetch_json(url, {}) == {"a": [1]}
