"""Keys with names and ends, revoked while the service runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.access import Access, AccessError
from services.access.__main__ import main
from services.access.key_list import GRACE, SECONDS, KeyList
from services.access.keys import Key, make_key, match_key, parse_keys, read_plain_keys
from services.errors import SetupError
from services.ledger import LedgerError
from services.ledger.memory import MemoryLedger
from services.public_settings import AccessSettings

pytestmark = pytest.mark.anyio
NOW = 1_900_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_plain_key_is_its_own_owner_and_a_named_one_its_names() -> None:
    """Base64's own signs are no name; a key that replaces another has its runs."""
    keys = read_plain_keys(
        ["dGVzdA==", "alice=0123456789abcdef", "alice=fedcba9876543210", "b=short"]
    )
    old, new = (match_key(keys, one, NOW) for one in ("0123456789abcdef", "fedcba9876543210"))
    assert old is not None
    assert old == new
    plain = match_key(keys, "dGVzdA==", NOW)
    assert plain is not None
    assert plain.owner not in (None, old.owner)
    assert match_key(keys, "b=short", NOW) is not None
    for wrong in ("", "dGVzdA", "alice=0123456789abcdef", "short", "\udcff"):
        assert match_key(keys, wrong, NOW) is None


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"expires": NOW + 1}, True),
        ({"expires": NOW}, False),
        ({"revoked": True}, False),
        ({"revoked": True, "expires": NOW + 1}, False),
    ],
)
def test_a_key_opens_until_its_end_or_until_it_is_revoked(
    change: dict[str, Any], good: bool
) -> None:
    """Not a second longer."""
    given, key = make_key("alice", None)
    kept = Key(key.name, key.sha256, **change)
    assert (match_key([kept], given, NOW) is not None) == good


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '[{"name":"a"}]', '[{"name":"a","sha256":"x"}]', "[" * 100_000, "null"],
)
def test_a_list_that_is_none_is_said_so(text: str) -> None:
    """Read as empty it would lock every holder out, and nothing say why."""
    if text == "{}":
        assert parse_keys(text) == ()
        return
    with pytest.raises(SetupError):
        parse_keys(text)


def test_the_command_adds_lists_and_revokes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is shown once; the file has its hash."""
    path = tmp_path / "keys.json"
    monkeypatch.setenv("RIVERRUN_KEY_LIST", str(path))
    assert main(["add", "alice", "30"]) == 0
    given = capsys.readouterr().out.strip()
    assert given not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert match_key(parse_keys(path.read_text()), given, NOW - 86_400 * 365 * 20) is not None
    assert main(["list"]) == 0
    assert capsys.readouterr().out.startswith("alice                good")
    assert main(["revoke", "alice"]) == 0
    assert match_key(parse_keys(path.read_text()), given, NOW) is None
    assert main(["add", "Not A Name"]) == 1
    assert main(["add", "a", "-1"]) == 2
    monkeypatch.delenv("RIVERRUN_KEY_LIST")
    assert main(["list"]) == 1


async def test_a_revoked_key_opens_nothing_after_a_few_seconds(tmp_path: Path) -> None:
    """Without a restart; before the list is read again it still does."""
    clock, path = Clock(), tmp_path / "keys.json"
    given, key = make_key("alice", None)
    path.write_text(json.dumps([{"name": "alice", "sha256": key.sha256}]))
    access = Access(AccessSettings(key_list=str(path)), (), MemoryLedger, clock=clock)
    assert (await access.identify(given)).kind == "key"
    path.write_text(json.dumps([{"name": "alice", "sha256": key.sha256, "revoked": True}]))
    clock.now += SECONDS
    with pytest.raises(AccessError):
        await access.identify(given)


async def test_the_last_list_holds_while_the_store_is_away() -> None:
    """For ten minutes, so that readers go on reading; then no one is let in."""
    clock, is_away = Clock(), False

    class Store(MemoryLedger):
        async def read(self, key: str) -> Any:
            if is_away:
                raise LedgerError
            return await super().read(key)

    store = Store(clock=clock)
    given, key = make_key("alice", None)
    await store.write(
        "keys", {"keys": [{"name": "a", "sha256": key.sha256}]}, version=0, expires=9e9
    )
    keys = KeyList("ledger", lambda: store, clock=clock)
    assert match_key(await keys.keys(), given, NOW)
    is_away = True
    clock.now += GRACE - 1
    assert match_key(await keys.keys(), given, NOW)
    clock.now += SECONDS
    with pytest.raises(LedgerError):
        await keys.keys()
