"""Keys: kept as their hashes, with a name, an end, and whether they were revoked.

A key is random and long, so one round of SHA-256 is enough: there is no guess to slow down. Its
owner is its name: a key that replaces another under one name keeps that one's runs.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from ..errors import SetupError
from ..json_input import parse_json
from .principal import Principal, name_owner

PREFIX = "rk_"
DAY_SECONDS = 24 * 3600.0

# In RIVERRUN_API_KEYS a key may stand behind its name: `alice=…`. What follows has to be as long
# as a key, or the sign is one of base64's.
_NAMED = re.compile(r"(?P<name>[a-z0-9][a-z0-9_-]{0,39})=(?P<key>[^=].{15,})")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is kept. `expires` is an epoch second; None is never."""

    name: str
    sha256: str
    expires: float | None = None
    revoked: bool = False

    def is_good(self, now: float) -> bool:
        """Tell whether it opens anything at `now`."""
        return not self.revoked and (self.expires is None or now < self.expires)


def read_plain_keys(texts: Iterable[str]) -> tuple[Key, ...]:
    """Read the keys of `RIVERRUN_API_KEYS`, each with or without a name before it."""
    keys = []
    for text in texts:
        named = _NAMED.fullmatch(text)
        keys.append(Key(named["name"], _hash(named["key"])) if named else Key("", _hash(text)))
    return tuple(keys)


def match_key(keys: Iterable[Key], given: str, now: float) -> Principal | None:
    """Find whose key `given` is.

    Every key is compared, in constant time, so that the time of the answer tells nothing.
    """
    digest = _hash(given)
    matches = [key for key in keys if hmac.compare_digest(key.sha256, digest)]
    good = next((key for key in matches if key.is_good(now)), None)
    if good is None:
        return None
    # A key without a name is its own owner.
    return Principal(name_owner("key", good.name) if good.name else digest[:32], "key")


def make_key(name: str, expires: float | None) -> tuple[str, Key]:
    """Make a key: what its holder is told once, and what is kept. Raises `SetupError`."""
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"{name!r} is no name of a key: up to 40 small letters, digits, - and _, please."
        )
    given = PREFIX + secrets.token_urlsafe(32)
    return given, Key(name, _hash(given), expires)


def dump_keys(keys: Iterable[Key]) -> list[dict[str, object]]:
    """Turn keys into JSON."""
    return [asdict(key) for key in keys]


def parse_keys(text: str) -> tuple[Key, ...]:
    """Read a list of keys as `dump_keys` wrote it. Raises `SetupError` for anything else."""
    try:
        found = parse_json(text)
        keys = tuple(
            Key(
                name=str(one["name"]),
                sha256=str(one["sha256"]),
                expires=None if one.get("expires") is None else float(one["expires"]),
                revoked=bool(one.get("revoked", False)),
            )
            for one in found
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SetupError(
            "The list of keys is not JSON as `python -m services.access` writes it."
        ) from error
    for key in keys:
        if not re.fullmatch(r"[0-9a-f]{64}", key.sha256):
            raise SetupError(f"The key {key.name!r} has no sha256 of 64 hexadecimal digits.")
    return keys


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
