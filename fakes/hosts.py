"""Which names a fake answers to.

A page of a stranger can have its own name lead to 127.0.0.1 (DNS rebinding), and its browser then
takes the fake for the page's own. The name stands in `Host`, which no page can change.
"""

import ipaddress
import os
import re

REFUSAL = "This server does not answer to that name.\n"

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")


def leads_here(host: str | None) -> bool:
    """Tell whether `Host` is localhost, an address, or listed in RIVERRUN_ALLOWED_HOSTS.

    A bucket's name may stand before `.localhost`, which no resolver leads elsewhere.
    """
    if not host:
        return True  # HTTP/1.0, which no browser speaks
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["name"].lower().rstrip(".")
    listed = os.environ.get("RIVERRUN_ALLOWED_HOSTS", "").lower().split(",")
    return (
        name == "localhost"
        or name.endswith(".localhost")
        or _is_address(name.strip("[]"))
        or name in map(str.strip, listed)
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
