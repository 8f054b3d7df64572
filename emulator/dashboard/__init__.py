"""`/dashboard` of the cloud on this machine: what CloudWatch's dashboard shows of a deployed one.

Fed by the metrics that functions write into their logs (`emulator.embedded_metrics`). Its files
load nothing from elsewhere, and only a client on this machine is answered.
"""

import ipaddress
import json
from pathlib import Path
from urllib.parse import parse_qs

from emulator.embedded_metrics import EmbeddedMetrics
from emulator.http1 import Reply

DASHBOARD = "/dashboard"

_FOLDER = Path(__file__).parent
_FILES = {
    DASHBOARD: ("index.html", "text/html; charset=utf-8"),
    f"{DASHBOARD}/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
    f"{DASHBOARD}/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]


def is_dashboard(path: str) -> bool:
    """Tell whether a path is the dashboard's."""
    return path == DASHBOARD or path.startswith(f"{DASHBOARD}/")


async def show(metrics: EmbeddedMetrics, reply: Reply) -> None:
    """Answer one request for the page, one of its files, or its figures."""
    request = reply.request
    if not ipaddress.ip_address(request.client).is_loopback:
        await _refuse(reply, 403, "Only for clients on this machine.")
    elif request.method not in ("GET", "HEAD"):
        await _refuse(reply, 405, "GET it.")
    elif request.path == f"{DASHBOARD}/figures":
        asked = parse_qs(request.query).get("after", ["0"])[0]
        after = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else 0
        body = json.dumps(metrics.list_after(after)).encode()
        await reply.send(200, [("Content-Type", "application/json"), *_HEADERS], body)
    elif request.path in _FILES:
        name, kind = _FILES[request.path]
        body = (_FOLDER / name).read_bytes()
        await reply.send(200, [("Content-Type", kind), *_HEADERS], body)
    else:
        await _refuse(reply, 404, "There is no such file.")


async def _refuse(reply: Reply, status: int, why: str) -> None:
    more = [("Allow", "GET, HEAD")] if status == 405 else []
    await reply.send(
        status, [("Content-Type", "text/plain"), *more, *_HEADERS], f"{why}\n".encode()
    )
