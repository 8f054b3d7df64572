"""Status and headers of a response: from ASGI's pairs to the prelude Lambda's fronts read.

What a header may hold, which ones belong to a hop, and where cookies go is decided here and
nowhere else. It knows neither sockets nor applications.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import wire
from .errors import LambdaRuntimeError

# RFC 9110 section 7.6.1, and what Lambda's fronts refuse or rename.
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
# RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5: these never carry a body.
BODILESS = frozenset({204, 205, 304})

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(rb"[\x00\r\n]")


class MisuseError(LambdaRuntimeError, RuntimeError):
    """The application broke the ASGI contract; the message says which rule.

    A `RuntimeError` too, which is what other servers raise here.
    """


class Head(NamedTuple):
    """Status and headers as the application meant them, without hop-by-hop headers.

    Names are lower-case, values latin-1 text; repeated headers stay apart and in order.
    """

    status: int
    headers: tuple[tuple[str, str], ...]

    def first(self, name: str) -> str | None:
        """The first value under a lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def declared_length(self) -> int | None:
        """What Content-Length promised, in bytes."""
        text = self.first("content-length")
        return int(text) if text and text.isascii() and text.isdigit() else None


def read_head(message: Mapping[str, Any]) -> Head:
    """Read an ``http.response.start``. Raises `MisuseError` for what no response may hold."""
    try:
        status = int(message["status"])
    except (KeyError, TypeError, ValueError) as error:
        raise MisuseError("http.response.start needs an integer status.") from error
    if not 200 <= status <= 599:
        raise MisuseError(f"Status {status} cannot be sent: it must be from 200 to 599.")
    return Head(status, tuple(_read_headers(message.get("headers") or ())))


def _read_headers(pairs: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for pair in pairs:
        try:
            raw_name, raw_value = pair
            name, value = _bytes(raw_name), _bytes(raw_value)
        except (TypeError, ValueError) as error:
            raise MisuseError("Response headers must be pairs of byte strings.") from error
        if _NAME.fullmatch(name) is None:
            raise MisuseError(f"{name!r} cannot be the name of a response header.")
        if _FORBIDDEN.search(value):
            raise MisuseError(f"Response header {name.decode()} holds CR, LF or NUL.")
        text = name.decode("ascii").lower()
        if text not in HOP_BY_HOP:
            yield text, value.decode("latin-1").strip(" \t")


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("latin-1")  # outside latin-1 it is a UnicodeEncodeError: a ValueError
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(type(value).__name__)


def to_prelude(head: Head, *, empty: bool, multi_value: bool) -> bytes:
    """The prelude of a streamed response, delimiter included.

    An `empty` body says ``content-length: 0``, without which Function URLs have been seen to
    wait for a first byte until the timeout, or the length that the application declared (to a
    HEAD, what a GET would have); any other Content-Length is dropped, since the fronts only
    rename it. Repeated headers are joined, or listed under ``multiValueHeaders``
    where the front knows them (REST APIs). Raises `wire.PreludeTooLargeError`.
    """
    values: dict[str, list[str]] = {}
    cookies: list[str] = []
    for name, value in head.headers:
        if name == "set-cookie":
            cookies.append(value)
        elif name != "content-length":
            values.setdefault(name, []).append(value)
    if empty:
        values["content-length"] = [head.first("content-length") or "0"]
    if multi_value:
        repeated = {name: found for name, found in values.items() if len(found) > 1}
        single = {name: found[0] for name, found in values.items() if name not in repeated}
        return wire.prelude(head.status, single, cookies, repeated)
    joined = {name: ", ".join(found) for name, found in values.items()}
    return wire.prelude(head.status, joined, cookies)
