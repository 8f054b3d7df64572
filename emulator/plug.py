"""The plug: the page of this machine can kill the functions that are answering.

The site's pages name it in `Server-Timing`, which scripts of the same page can read, so that no
page has to try. It obeys that page alone: a request must come from this machine, to this machine's
own name, from a script of the same origin (Fetch Metadata, `Sec-Fetch-Site`).
"""

import ipaddress
import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from emulator.function import Function
from emulator.http1 import Reply, Request
from emulator.web_function import WebFunction

PATH = "/.riverrun/plug"
TIMING = ("Server-Timing", "riverrun-plug")


def can_pull(request: Request) -> bool:
    """Whether a request comes from this machine, by a name that only this machine answers to."""
    host = urlsplit(f"//{request.header('host')}").hostname or ""
    return _is_loopback(request.client) and (host == "localhost" or _is_loopback(host))


async def pull(functions: Iterable[Function | WebFunction], reply: Reply) -> None:
    """Kill every function that is answering, and name them; 403 for any page but our own."""
    request = reply.request
    is_ours = request.header("sec-fetch-site") == "same-origin"
    is_json = request.header("content-type").startswith("application/json")
    if request.method != "POST":
        await reply.send(405, [("Allow", "POST")])
    elif not (can_pull(request) and is_ours and is_json):
        await reply.send(403, [("Content-Type", "text/plain")], b"Only from the page itself.\n")
    else:
        busy = [function for function in functions if function.busy]
        for function in busy:
            function.kill()
        body = json.dumps({"killed": [function.spec.public for function in busy]}).encode()
        await reply.send(200, [("Content-Type", "application/json")], body)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
