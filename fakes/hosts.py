"""Which requests a fake answers: those of programs on this machine.

A page of a stranger can have its own name lead to 127.0.0.1 (DNS rebinding), and its browser then
takes the fake for the page's own; the name stands in `Host`. And moto lets every page read what it
answers, by whichever name: what a browser sends for a page says so. No page can change either.
"""

import ipaddress
import os
import re
from collections.abc import Sequence

REFUSAL = "This server does not answer to that name, nor to a page.\n"

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")


def is_for_programs(hosts: Sequence[str], origin: str | None, site: str | None) -> bool:
    """Tell whether a request may be answered, by its `Host`, `Origin` and `Sec-Fetch-Site`."""
    return all(map(leads_here, hosts)) and not origin and not site


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
