"""Who asks: an opaque name that owns runs and sessions, and is what limits are counted for."""

import hashlib
from dataclasses import dataclass

from ..errors import RiverrunError

_WIDTH = 32


class AccessError(RiverrunError):
    """There is no credential, or not a good one. It never says which, nor why."""

    code = "unauthorized"

    def __init__(self) -> None:
        super().__init__("This service needs a key: Authorization: Bearer …")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `owner` is None where no credential is asked for: then runs belong to no one.

    `kind` is `key`, `token`, `visitor`, `link` or `open`.
    """

    owner: str | None
    kind: str


OPEN = Principal(None, "open")


def name_owner(kind: str, name: str) -> str:
    """Make the owner of a named principal: a hash, so that no name is kept with a run."""
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()[:_WIDTH]


def name_stranger(address: str) -> str:
    """Name a visitor without a credential by the address, for limits alone; it owns nothing."""
    return name_owner("address", address) if address else "open"
