"""Tokens of an identity provider (JWT, OpenID Connect), checked with PyJWT.

The algorithms are pinned by the settings, never taken from a token. The provider's keys are cached
and fetched again when they are old, or when a token names one that is not there, at most once a
minute (every two seconds where there are none): a flood of made-up tokens costs the provider
nothing, and no one waits for another's try. PyJWT and its cryptography (15 MB,
40 ms) are imported when the first token comes.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RiverrunError
from ..json_input import parse_json
from ..public_settings import AccessSettings
from .fetch import FetchError, fetch_beside, fetch_json
from .principal import Principal, name_owner

# Times in seconds.
FRESH_SECONDS = 600.0
STALE = 24 * 3600.0
REFETCH_SECONDS = 60.0
RETRY_SECONDS = 2.0
LEEWAY = 30.0

LONGEST = 8 * 1024

logger = logging.getLogger(__name__)


class Issuer:
    """The identity provider of `settings`, with what this process knows of its keys."""

    def __init__(self, settings: AccessSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: list[Any] = []
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Principal | None:
        """Tell whose token this is; None for one that is not good, for whatever reason.

        Raises `FetchError` when there are no keys to check it with.
        """
        if len(token) > LONGEST or not token.isascii():
            return None
        import jwt

        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in settings.oidc_algorithms or "crit" in header:
                return None
            for key in await self._keys_for(header.get("kid")):
                said = jwt.decode(
                    token,
                    key.key,
                    algorithms=[header["alg"]],
                    audience=settings.oidc_audience,
                    issuer=settings.oidc_issuer,
                    leeway=LEEWAY,
                    options={"require": ["exp", "aud", "iss", "sub"], "verify_iat": False},
                )
                if not (subject := said["sub"]):
                    return None  # all whose provider says nothing would share their runs
                return Principal(name_owner("oidc", f"{settings.oidc_issuer} {subject}"), "token")
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        return None

    async def _keys_for(self, kid: object) -> list[Any]:
        now = self._clock()
        if now - self._fetched_at > FRESH_SECONDS:
            await self._fetch()
        found = self._find_keys(kid)
        if not found and now - self._tried_at > REFETCH_SECONDS:
            await self._fetch()
            found = self._find_keys(kid)
        return found

    def _find_keys(self, kid: object) -> list[Any]:
        if kid is None:
            return self._keys if len(self._keys) == 1 else []
        return [key for key in self._keys if key.key_id == kid][:1]

    async def _fetch(self) -> None:
        async with self._fetching:
            now = self._clock()
            # Another request has fetched them, or has failed to, a moment ago.
            if now - self._tried_at >= (REFETCH_SECONDS if self._keys else RETRY_SECONDS):
                self._tried_at = now
                try:
                    self._keys = await fetch_beside(self._read)
                    self._fetched_at = now
                except RiverrunError as error:
                    logger.warning("The keys of the identity provider: %s", type(error).__name__)
            if now - self._fetched_at > STALE:
                raise FetchError

    def _read(self) -> list[Any]:
        from jwt import PyJWKError, PyJWKSetError
        from jwt.api_jwk import PyJWKSet

        settings = self._settings
        place = settings.oidc_jwks
        if not place:
            address = settings.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = fetch_json(address)
            if not isinstance(found, dict) or found.get("issuer") != settings.oidc_issuer:
                raise FetchError
            place = str(found.get("jwks_uri"))
        try:
            said = fetch_json(place) if "://" in place else parse_json(Path(place).read_bytes())
            keys = PyJWKSet.from_dict(said).keys
        except (OSError, ValueError, AttributeError, TypeError, PyJWKError, PyJWKSetError) as error:
            raise FetchError from error
        # A key of both sides (`oct`) in a public document is no key.
        return [key for key in keys if key.key_type in ("RSA", "EC", "OKP")]
