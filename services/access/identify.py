"""From a bearer's text to who it is: the one place that knows every kind of credential."""

import secrets
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from ..ledger import Ledger
from ..public_settings import AccessSettings
from .key_list import KeyList
from .keys import match_key, read_plain_keys
from .principal import OPEN, AccessError, Principal, name_owner
from .signature import mask, sign, verify

if TYPE_CHECKING:
    from .oidc import Issuer

VISITOR = "rv1"
LINK = "rl1"
SESSION = "rs1"

_SIGNING = "signing"
_NEVER = 253_402_300_000.0  # the year 9999


class Access:
    """Who may ask, by `settings` and the plain `api_keys`.

    `open_ledger` opens the ledger when it is first needed; an installation with plain keys alone
    never does.
    """

    def __init__(
        self,
        settings: AccessSettings,
        api_keys: tuple[str, ...],
        open_ledger: Callable[[], Ledger],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._plain = read_plain_keys(api_keys)
        self._open_ledger = open_ledger
        self._clock = clock
        self._secrets: tuple[str, ...] = settings.signing_secrets
        place = settings.key_list
        self._list = KeyList(place, open_ledger, clock=clock) if place else None

    @property
    def is_open(self) -> bool:
        """Whether a question needs no credential."""
        return not (self._plain or self._settings.is_asked)

    async def identify(self, bearer: str) -> Principal:
        """Tell who holds `bearer`, empty where there is none. Raises `AccessError`.

        An installation that asks for nothing takes no notice of what it is given.
        """
        if self.is_open:
            return OPEN
        found = await self._find(bearer) if bearer else None
        if found is None:
            raise AccessError
        return found

    async def _find(self, bearer: str) -> Principal | None:
        settings, now = self._settings, self._clock()
        if bearer.startswith(f"{VISITOR}."):
            return await self._find_visitor(bearer) if settings.anonymous else None
        if settings.oidc_issuer and bearer.count(".") == 2:
            return await self._issuer.verify(bearer)
        listed = await self._list.keys() if self._list else ()
        return match_key((*self._plain, *listed), bearer, now)

    async def admit_visitor(self, answer: str, address: str) -> tuple[str, float]:
        """Give a stranger a signed token of their own, and say when it ends (an epoch second).

        Raises `AccessError` where no stranger is let in, or `answer` does not pass.
        """
        from .challenge import is_passed

        settings = self._settings
        if not settings.anonymous or not await is_passed(settings, answer, address):
            raise AccessError
        expires = round(self._clock() + settings.visitor_seconds)
        said = {"v": secrets.token_urlsafe(16), "expires": expires}
        return sign(VISITOR, said, await self._signing_secrets()), expires

    async def make_link(self, run_id: str, owner: str | None) -> tuple[str, float]:
        """Sign a token that reads one run, for its owner, for a few minutes."""
        expires = round(self._clock() + self._settings.stream_token_seconds)
        signing = await self._signing_secrets()
        said = {"run": run_id, "expires": expires}
        if owner is not None:
            # A link stands in URLs, and so in logs; the owner of a plain key is a hash of the key.
            said["owner"] = mask(owner.encode(), f"{run_id} {expires}", signing[0]).hex()
        return sign(LINK, said, signing), expires

    async def follow_link(self, token: str, run_id: str) -> Principal:
        """Tell whose run `token` reads. Raises `AccessError` unless it is this one, and in time."""
        for secret in await self._signing_secrets():
            said = verify(LINK, token, (secret,))
            if said is not None and said.get("run") == run_id and self._is_in_time(said):
                masked = bytes.fromhex(said.get("owner", ""))
                owner = mask(masked, f"{run_id} {said['expires']}", secret).decode(
                    "ascii", "replace"
                )
                return Principal(owner or None, "link")
        raise AccessError

    async def name_session(self) -> str:
        """Make a session's id that only we can have made."""
        return sign(SESSION, {"s": secrets.token_urlsafe(12)}, await self._signing_secrets())

    async def knows_session(self, session_id: str) -> bool:
        """Tell whether `name_session` made it."""
        return verify(SESSION, session_id, await self._signing_secrets()) is not None

    async def _find_visitor(self, bearer: str) -> Principal | None:
        said = verify(VISITOR, bearer, await self._signing_secrets())
        if said is None or not self._is_in_time(said):
            return None
        return Principal(name_owner("visitor", str(said.get("v"))), "visitor")

    def _is_in_time(self, said: dict[str, object]) -> bool:
        expires = said.get("expires")
        return isinstance(expires, int | float) and self._clock() < expires

    @cached_property
    def _issuer(self) -> "Issuer":
        from .oidc import Issuer

        return Issuer(self._settings, clock=self._clock)

    async def _signing_secrets(self) -> tuple[str, ...]:
        """Give the secrets of the settings, or one that the processes of this log share."""
        if not self._secrets:
            ledger = self._open_ledger()
            made = {"secret": secrets.token_urlsafe(32)}
            await ledger.write(_SIGNING, made, version=0, expires=_NEVER)
            found = await ledger.read(_SIGNING)
            self._secrets = (str((found.value if found else made)["secret"]),)
        return self._secrets
