"""Sign a few words, and tell later whether we did: visitors, links to a run, names of sessions.

A token is `<kind>.<base64url of JSON>.<HMAC-SHA256>`. The kind is signed too, so a token of one
kind is none of another. It says what it grants and until when; it is signed, not hidden, but for
what is masked.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..json_input import parse_json

LONGEST = 2048


def sign(kind: str, said: Mapping[str, Any], secrets: Sequence[str]) -> str:
    """Sign `said` with the first of `secrets`."""
    body = _encode(json.dumps(said, separators=(",", ":"), sort_keys=True).encode())
    return f"{kind}.{body}.{_seal(kind, body, secrets[0])}"


def verify(kind: str, token: str, secrets: Sequence[str]) -> dict[str, Any] | None:
    """Read what one of `secrets` signed as `kind`; None for anything else.

    `expires`, where it was said, is for the caller to look at.
    """
    if len(token) > LONGEST or not token.isascii():
        return None
    claimed, _, rest = token.partition(".")
    body, _, seal = rest.partition(".")
    # Every secret is compared, in constant time.
    seals = [_seal(kind, body, secret) for secret in secrets]
    if sum(hmac.compare_digest(one, seal) for one in seals) == 0 or claimed != kind:
        return None
    try:
        said = parse_json(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return None
    return said if isinstance(said, dict) else None


def mask(data: bytes, about: str, secret: str) -> bytes:
    """Mask up to 32 bytes with what `secret` makes of `about`; masked again, they are themselves.

    `about` is another one for other data: a pad that is used twice hides neither.
    """
    pad = hmac.new(secret.encode(), f"riverrun mask\n{about}".encode(), hashlib.sha256).digest()
    return bytes(one ^ other for one, other in zip(data, pad, strict=False))


def _seal(kind: str, body: str, secret: str) -> str:
    mac = hmac.new(secret.encode(), f"riverrun {kind}\n{body}".encode(), hashlib.sha256)
    return _encode(mac.digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
