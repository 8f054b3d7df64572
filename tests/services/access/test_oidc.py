"""Tokens of an identity provider: the good one, and every way to forge one."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.access import Access, AccessError
from services.access.fetch import FetchError
from services.access.oidc import FRESH_SECONDS, REFETCH_SECONDS, RETRY_SECONDS, STALE, Issuer
from services.ledger.memory import MemoryLedger
from services.public_settings import AccessSettings

pytestmark = pytest.mark.anyio
ISSUER, AUDIENCE = "https://id.example", "riverrun"
NOW = 1_900_000_000.0
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u1"}


def claims(**change: Any) -> dict[str, Any]:
    """What a token says; PyJWT asks the wall clock, so it is made for today."""
    said = {**CLAIMS, "exp": int(time.time()) + 600, **change}
    return {name: value for name, value in said.items() if value is not None}


def public(key: Any, kid: str) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if hasattr(key, "decrypt") else jwt.algorithms.ECAlgorithm
    said = json.loads(kind.to_jwk(key.public_key()))
    return {**said, "kid": kid, "use": "sig"}


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public(RSA_KEY, "r"), public(EC_KEY, "e")]}))
    return path


@pytest.fixture
def access(jwks: Path) -> Access:
    settings = AccessSettings(oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks=str(jwks))
    return Access(settings, (), MemoryLedger)


def sign_token(key: Any = RSA_KEY, alg: str = "RS256", kid: str | None = "r", **change: Any) -> str:
    headers = {"kid": kid} if kid is not None else None
    return jwt.encode(claims(**change), key, algorithm=alg, headers=headers)


def part(said: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def forge_token(header: dict[str, Any], secret: bytes = b"") -> str:
    """A token whose header says what it likes, signed with HMAC."""
    body = f"{part(header)}.{part(claims())}"
    mac = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

BAD = {
    "nothing": "",
    "two dots": "..",
    "alg none": f"{part({'alg': 'none', 'kid': 'r'})}.{part(claims())}.",
    "alg NoNe": f"{part({'alg': 'NoNe', 'kid': 'r'})}.{part(claims())}.",
    "the public key as a secret": forge_token({"alg": "HS256", "kid": "r"}, PEM),
    "an empty secret": forge_token({"alg": "HS256", "kid": "r"}),
    "another alg than pinned": sign_token(alg="RS512"),
    "RS256 with a key of EC": sign_token(kid="e"),
    "ES256 with a key of RSA": sign_token(EC_KEY, "ES256", "r"),
    "another key": sign_token(OTHER),
    "an unknown kid": sign_token(kid="x"),
    "no kid where there are two keys": sign_token(kid=None),
    "a kid that is a path": sign_token(kid="../../dev/null"),
    "a kid that is a list": forge_token({"alg": "RS256", "kid": ["r"]}),
    "another issuer": sign_token(iss="https://evil.example"),
    "no issuer": sign_token(iss=None),
    "another audience": sign_token(aud="other"),
    "no audience": sign_token(aud=None),
    "no subject": sign_token(sub=None),
    "an empty subject": sign_token(sub=""),
    "no end": sign_token(exp=None),
    "expired": sign_token(exp=1_000_000_000),
    "not yet": sign_token(nbf=4_000_000_000),
    "an end that is a word": forge_token({"alg": "RS256", "kid": "r"}),
    "its signature cut": sign_token()[:-4],
    "its claims changed": ".".join(
        [sign_token().split(".")[0], part(claims(sub="admin")), sign_token().split(".")[2]]
    ),
    "a key of its own in the header": jwt.encode(
        claims(), OTHER, algorithm="RS256", headers={"kid": "r", "jwk": public(OTHER, "r")}
    ),
    "an address of keys in the header": jwt.encode(
        claims(), OTHER, algorithm="RS256", headers={"kid": "r", "jku": "https://evil.example"}
    ),
    "a critical header": jwt.encode(
        claims(), RSA_KEY, algorithm="RS256", headers={"kid": "r", "crit": ["x"], "x": 1}
    ),
    "a megabyte": f"{part({'alg': 'RS256', 'kid': 'r'})}.{'A' * 1_000_000}.x",
    "deep JSON": f"{base64.urlsafe_b64encode(b'[' * 5000).decode()}.e30.x",
    "not ASCII": sign_token() + "é",
}


async def test_a_good_token_names_its_subject(access: Access) -> None:
    """The same at each sign-in, another for another subject; RSA and EC."""
    one = await access.identify(sign_token())
    assert one.kind == "token"
    assert one == await access.identify(sign_token(EC_KEY, "ES256", "e"))
    assert one != await access.identify(sign_token(sub="u2"))


@pytest.mark.parametrize("name", BAD)
async def test_a_forged_token_is_refused_in_one_shape(access: Access, name: str) -> None:
    """Always the same error, so that it tells nothing about how far it came."""
    with pytest.raises(AccessError) as caught:
        await access.identify(BAD[name])
    assert (caught.value.code, caught.value.hint) == ("unauthorized", None)


async def test_the_providers_keys_are_cached_rotated_and_kept_while_it_is_away(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of unknown key ids asks the provider once a minute."""
    now, asked = NOW, 0
    settings = AccessSettings(oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks=str(jwks))
    issuer = Issuer(settings, clock=lambda: now)
    read = issuer._read

    def count() -> list[Any]:
        nonlocal asked
        asked += 1
        return read()

    monkeypatch.setattr(issuer, "_read", count)
    assert await issuer.verify(sign_token())
    for kid in range(50):
        assert await issuer.verify(sign_token(kid=f"x{kid}")) is None
    assert asked == 1
    jwks.write_text(  # noqa: ASYNC240 - a test waits for its own file
        json.dumps({"keys": [public(OTHER, "new"), {"kty": "oct", "k": "AA", "kid": "o"}]})
    )
    assert await issuer.verify(sign_token(OTHER, kid="new")) is None
    now += REFETCH_SECONDS + 1
    assert await issuer.verify(sign_token(OTHER, kid="new"))
    assert await issuer.verify(sign_token()) is None
    jwks.unlink()  # noqa: ASYNC240
    now += FRESH_SECONDS + 1
    assert await issuer.verify(sign_token(OTHER, kid="new"))
    now += STALE
    with pytest.raises(FetchError):
        await issuer.verify(sign_token(OTHER, kid="new"))
    # Keys that are too old open nothing, however soon the next one asks.
    with pytest.raises(FetchError):
        await issuer.verify(sign_token(OTHER, kid="new"))


async def test_a_provider_that_was_never_there_is_not_asked_by_each_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of made-up tokens would wait three seconds each, one behind the other."""
    now, asked = NOW, 0
    place = str(tmp_path / "none.json")
    settings = AccessSettings(oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks=place)
    issuer = Issuer(settings, clock=lambda: now)

    def fail() -> list[Any]:
        nonlocal asked
        asked += 1
        raise FetchError

    monkeypatch.setattr(issuer, "_read", fail)
    found = await asyncio.gather(
        *(issuer.verify(sign_token(kid=f"x{kid}")) for kid in range(50)), return_exceptions=True
    )
    assert {type(each) for each in found} == {FetchError}
    assert asked == 1
    now += RETRY_SECONDS
    with pytest.raises(FetchError):
        await issuer.verify(sign_token())
    assert asked == 2
