"""Who asks: an opaque name that owns runs and sessions, and is what limits are counted for."""

import hashlib
import ipaddress
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
    return name_owner("address", _name_subscriber(address)) if address else "open"


def _name_subscriber(address: str) -> str:
    """An address as one visitor has it.

    An IPv6 subscriber owns a whole /64, and could use a new address for each question; an IPv4
    address that is written as IPv6 is the IPv4 address.
    """
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        mapped = known.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((int(known) >> 64 << 64, 64)))
    return str(known)
