"""Which requests of a browser a cloud on this machine answers.

A page of a stranger can have its own name lead to 127.0.0.1 (DNS rebinding); its name stands in
`Host`, which no page can change. And AWS's own calls are signed, which no page can do: here nothing
is, so what a browser sends to them is refused.
"""

import ipaddress
import os
import re

from emulator.http1 import Reply, Request

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a listener on `host`."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def answers_to(request: Request) -> bool:
    """Tell whether `Host` is localhost, an address, or listed in RIVERRUN_ALLOWED_HOSTS."""
    said = request.header("host")
    if not said:
        return True  # HTTP/1.0, which no browser speaks
    found = _HOST.fullmatch(said)
    if found is None:
        return False
    name = found["name"].lower().rstrip(".")
    listed = os.environ.get("RIVERRUN_ALLOWED_HOSTS", "").lower().split(",")
    return name == "localhost" or _is_address(name.strip("[]")) or name in map(str.strip, listed)


def is_from_page(request: Request) -> bool:
    """Tell whether a browser sent this for a page: it says so, and no page can change it.

    `Sec-Fetch-Mode` says nothing: Node.js sends it too.
    """
    return bool(request.header("origin") or request.header("sec-fetch-site"))


async def refuse_request(reply: Reply, why: str) -> None:
    """Answer 403 with one line."""
    text = f"{why}\n".encode()
    await reply.send(403, [("Content-Type", "text/plain")], text)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
