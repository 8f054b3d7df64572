"""Netlify on localhost: the site, and the functions under the URLs visitors use.

`/.netlify/functions/<name>` and `/api/<name>` reach the Python functions with a function
URL's payload; in production an edge function carries them there. No Node runs here.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from emulator import dashboard, plug
from emulator.embedded_metrics import EmbeddedMetrics
from emulator.fronts import Front, FrontOptions, carry, read_body
from emulator.function import Function
from emulator.http1 import Reply, Request
from emulator.payloads import url_domain, version_2
from emulator.routes import find_route
from emulator.site import Redirect, Site, content_type
from emulator.template import Route
from emulator.web_front import Endpoint

# "Headers within 40 s"; after that an edge function may run for ever.
HEAD_LIMIT = 40.0

_FUNCTION = re.compile(r"/\.netlify/(?:functions|builders)/([^/?]+)(/.*)?")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ALIAS = re.compile(r"/api/([A-Za-z0-9_-]+)(?:/.*)?")
# What netlify.toml sends to the gateway.
_GATEWAY = re.compile(r"/(?:api|v1|\.netlify/functions)/")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NO_SUCH_FUNCTION = json.dumps(
    {
        "type": "error",
        "error": "There is no such function.",
        "code": "not_found",
        "retryable": False,
    }
).encode()
_GEO = base64.b64encode(json.dumps({"city": "San Francisco", "country": {"code": "US"}}).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Netlify:
    """The Netlify front. `site` is asked at each request: it may be edited while we serve."""

    functions: Mapping[str, Function]
    routes: Sequence[Route]
    site: Callable[[], Site]
    front_options: FrontOptions
    head_limit: float = HEAD_LIMIT
    endpoint: Endpoint | None = None
    metrics: EmbeddedMetrics = field(default_factory=EmbeddedMetrics)

    async def handle(self, request: Request, reply: Reply) -> None:
        """Answer one request: functions by name, by the API's paths, by alias; then the site."""
        if request.path == plug.PATH:
            web = () if self.endpoint is None else (self.endpoint.function,)
            await plug.pull((*self.functions.values(), *web), reply)
            return
        if dashboard.is_dashboard(request.path):
            await dashboard.show(self.metrics, reply)
            return
        if self.endpoint is not None and _GATEWAY.match(request.path):
            await self._pass_on(self.endpoint, reply)
            return
        named = _FUNCTION.match(request.path)
        if named:
            await self._call_named(named[1], reply)
            return
        found = find_route(self.routes, request.method, request.path)
        alias = _ALIAS.fullmatch(request.path)
        function = self._function(alias[1]) if alias else None
        if found:
            await self._call(self.functions[found[0].function], reply)
        elif function is not None:
            await self._call(function, reply)
        elif alias and self.site().file(request.path) is None:
            await reply.send(404, [("Content-Type", "application/json")], _NO_SUCH_FUNCTION)
        else:
            await self._visit(self.site(), reply)

    async def _pass_on(self, endpoint: Endpoint, reply: Reply) -> None:
        """Send everything to the Web Function, as the gateway does: signed, where it must be."""
        request = reply.request
        more = [
            ("X-Forwarded-Host", request.header("host")),
            ("x-riverrun-visitor", request.client),
        ]
        own = request.header("authorization")
        if own and endpoint.function.spec.signed:
            more.append(("x-riverrun-authorization", own))
        removed = frozenset({"x-forwarded-host", *(name for name, _ in more)})
        await endpoint.carry(reply, front="netlify", more=more, removed=removed)

    def _function(self, name: str) -> Function | None:
        """By the name its URLs have, else by the name it has in the cloud."""
        public = (f for f in self.functions.values() if f.spec.public == name)
        return next(public, self.functions.get(name))

    async def _call_named(self, name: str, reply: Reply) -> None:
        function = self._function(name)
        if not _NAME.fullmatch(name):
            text = (
                "Function name should consist only of alphanumeric characters, "
                "hyphen & underscores."
            )
            await _text(reply, 400, text)
        elif function is None:
            await _text(reply, 404, "Function not found...")
        else:
            await self._call(function, reply)

    async def _visit(self, site: Site, reply: Reply) -> None:
        """Netlify's order: forced rules, files, the other rules, the 404 page."""
        request = reply.request
        file = site.file(request.path)
        for rule in site.redirects:
            if file is not None and not rule.force:
                continue
            target = rule.match(request.path, request.query)
            if target is not None and await self._follow(site, rule, target, reply):
                return
        if file is not None:
            await _file(reply, site, file)
        else:
            await _send_not_found(reply, site)

    async def _follow(self, site: Site, rule: Redirect, target: str, reply: Reply) -> bool:
        """Do what a rule says; False when it leads to a file that is not there."""
        if rule.status not in (200, 404):
            await reply.send(rule.status, [("Location", target), ("Server", "Netlify")])
            return True
        named = _FUNCTION.match(target.partition("?")[0])
        if named:
            await self._call_named(named[1], reply)
            return True
        if target.startswith(("http://", "https://")):
            await _text(reply, 502, f"The emulator does not proxy to other hosts: {target}")
            return True
        file = site.file(target.partition("?")[0])
        if file is not None:
            await _file(reply, site, file, status=rule.status)
        return file is not None

    async def _call(self, function: Function, reply: Reply) -> None:
        request = reply.request
        body = await read_body(reply, message=b'{"message":"Request Entity Too Large"}')
        if body is None:
            return
        request_id = _ulid()
        payload = version_2(
            request,
            body,
            api_id="netlify",
            domain=url_domain("netlify"),
            request_id=request_id,
            extra_headers={
                "client-ip": request.client,
                "x-nf-account-id": "local",
                "x-nf-client-connection-ip": request.client,
                "x-nf-geo": _GEO.decode("ascii"),
                "x-nf-request-id": request_id,
                "x-nf-site-id": "unlinked",
            },
        )
        head = [("Server", "Netlify"), ("x-nf-request-id", request_id)]
        front = Front(name="netlify", streaming=is_streaming(function), head=self.head_limit)
        await carry(front, self.front_options, function, payload, reply, headers=head)


def is_streaming(function: Function) -> bool:
    """Whether the gateway would find a streaming function URL behind a function."""
    url = function.spec.url
    return url.invoke_mode == "RESPONSE_STREAM" if url else bool(function.spec.wrapper)


async def _file(reply: Reply, site: Site, file: Path, *, status: int = 200) -> None:
    request = reply.request
    if request.method not in ("GET", "HEAD"):
        await reply.send(405, [("Allow", "GET, HEAD"), ("Server", "Netlify")])
        return
    content = await asyncio.to_thread(file.read_bytes)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    head = {
        "content-type": ("Content-Type", content_type(file)),
        "cache-control": ("Cache-Control", "public, max-age=0, must-revalidate"),
        "etag": ("ETag", tag),
        "date": ("Date", formatdate(usegmt=True)),
        "server": ("Server", "Netlify"),
        "x-nf-request-id": ("x-nf-request-id", _ulid()),
    }
    if file.suffix == ".html" and plug.can_pull(request):
        head["server-timing"] = plug.TIMING
    head |= {name.lower(): (name, value) for name, value in site.headers_for(request.path)}
    if status == 200 and tag in request.header("if-none-match"):
        await reply.send(304, list(head.values()))
    else:
        await reply.send(status, list(head.values()), content)


async def _send_not_found(reply: Reply, site: Site) -> None:
    page = site.file("/404.html")
    if page and reply.request.method in ("GET", "HEAD"):
        await _file(reply, site, page, status=404)
    else:
        await _text(reply, 404, "Not Found")


async def _text(reply: Reply, status: int, text: str) -> None:
    head = [("Content-Type", "text/plain; charset=UTF-8"), ("Server", "Netlify")]
    await reply.send(status, head, text.encode())


def _ulid() -> str:
    number = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10))
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
