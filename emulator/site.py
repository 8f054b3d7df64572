"""What `netlify.toml` says about a site, and the files it publishes.

Redirects, rewrites and headers as rules; a file for a path. Knows nothing of functions.
"""

import mimetypes
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from emulator.cloudformation import EmulatorSetupError

_TYPES = {
    ".js": "text/javascript; charset=UTF-8",
    ".mjs": "text/javascript; charset=UTF-8",
    ".html": "text/html; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=UTF-8",
    ".md": "text/markdown; charset=UTF-8",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class Redirect:
    """One `[[redirects]]` rule. Status 200 is a rewrite, 404 a page for what is missing."""

    source: str
    target: str
    status: int = 301
    force: bool = False
    query: Mapping[str, str] = field(default_factory=dict)

    def match(self, path: str, query: str) -> str | None:
        """Where a request for `path` leads, placeholders filled in; None when it is not meant."""
        found = _pattern(self.source).fullmatch(path.rstrip("/") or "/")
        if not found:
            return None
        values = {name: value or "" for name, value in found.groupdict().items()}
        given = dict(parse_qsl(query, keep_blank_values=True))
        for name, wanted in self.query.items():
            if name not in given or (not wanted.startswith(":") and given[name] != wanted):
                return None
            if wanted.startswith(":"):
                values[wanted[1:]] = quote(given[name], safe="")
        target = self.target
        for name, value in sorted(values.items(), key=lambda item: -len(item[0])):
            target = target.replace(f":{name}", value)
        if query and "?" not in target and not self.query:
            target = f"{target}?{query}"
        return target


@dataclass(frozen=True, slots=True)
class Site:
    """A site: the published directory, its rules, and remarks for the person.

    Pages of `frame_origins` may show it in a frame where its own policy lets none.
    """

    publish: Path | None = None
    redirects: tuple[Redirect, ...] = ()
    headers: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    notes: tuple[str, ...] = ()
    frame_origins: tuple[str, ...] = ()

    def headers_for(self, path: str) -> list[tuple[str, str]]:
        """The headers of every rule whose `for` matches; later rules win."""
        merged: dict[str, tuple[str, str]] = {}
        for pattern, pairs in self.headers:
            if _pattern(pattern).fullmatch(path.rstrip("/") or "/"):
                merged.update({name.lower(): (name, value) for name, value in pairs})
        if self.frame_origins and "content-security-policy" in merged:
            name, policy = merged["content-security-policy"]
            allowed = f"frame-ancestors {' '.join(self.frame_origins)}"
            merged[name.lower()] = name, policy.replace("frame-ancestors 'none'", allowed)
        return list(merged.values())

    def file(self, path: str) -> Path | None:
        """The published file for a path as it was sent: itself, its index, or `path.html`."""
        if self.publish is None:
            return None
        name = unquote(path)
        if "\0" in name:
            return None
        try:
            base = (self.publish / name.lstrip("/")).resolve()
            candidates = [base / "index.html"] if name.endswith("/") else [base]
            candidates += [base.with_name(base.name + ".html"), base / "index.html"]
            for candidate in candidates:
                inside = candidate.resolve().is_relative_to(self.publish)
                if inside and candidate.is_file() and not candidate.name.startswith("_"):
                    return candidate
        except (OSError, ValueError):
            return None
        return None


def content_type(path: Path) -> str:
    """The media type Netlify serves a file with."""
    return (
        _TYPES.get(path.suffix.lower())
        or mimetypes.guess_type(path.name)[0]
        or "application/octet-stream"
    )


def read_site(path: Path) -> Site:
    """Read `netlify.toml`, and RIVERRUN_FRAME_ORIGINS as `make serve` does; none, no site.

    Raises `EmulatorSetupError`.
    """
    if not path.is_file():
        return Site()
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EmulatorSetupError(f"{path} cannot be read: {error}") from error
    build = document.get("build", {})
    origins = os.environ.get("RIVERRUN_FRAME_ORIGINS", "")
    publish = (path.parent / build.get("base", "") / build.get("publish", "")).resolve()
    notes: list[str] = []
    if "publish" in build and not publish.is_dir():
        notes.append(f"netlify.toml publishes {build['publish']}, which does not exist.")
    redirects = []
    for rule in document.get("redirects", []):
        if str(rule.get("from", "")).startswith("/.netlify"):
            notes.append(f"A redirect from {rule['from']} is refused, as Netlify refuses it.")
        elif "from" in rule and "to" in rule:
            redirects.append(_redirect(rule))
    headers = (
        *_read_headers_file(publish / "_headers"),
        *(
            (str(rule.get("for", "")), tuple((n, str(v)) for n, v in rule["values"].items()))
            for rule in document.get("headers", [])
            if rule.get("values")
        ),
    )
    return Site(
        publish if "publish" in build and publish.is_dir() else None,
        tuple(redirects),
        headers,
        tuple(notes),
        tuple(filter(None, map(str.strip, origins.split(",")))),
    )


def _read_headers_file(path: Path) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """The rules of a `_headers` file: a path, and indented below it the headers it gets."""
    rules: list[tuple[str, tuple[tuple[str, str], ...]]] = []
    try:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise EmulatorSetupError(f"{path} cannot be read: {error}") from error
    for line in lines:
        name, colon, value = line.partition(":")
        if line.startswith("/"):
            rules.append((line.strip(), ()))
        elif colon and rules and line[:1].isspace() and not name.strip().startswith("#"):
            source, pairs = rules[-1]
            rules[-1] = (source, (*pairs, (name.strip(), value.strip())))
    return rules


def _redirect(rule: Mapping[str, Any]) -> Redirect:
    query = rule.get("query") or rule.get("params") or {}
    return Redirect(
        source=str(rule["from"]),
        target=str(rule["to"]),
        status=int(rule.get("status", 301)),
        force=bool(rule.get("force", False)),
        query={str(name): str(value) for name, value in query.items()},
    )


def _pattern(source: str) -> re.Pattern[str]:
    text = ""
    for segment in source.strip("/").split("/"):
        if segment == "*":
            text += "(?:/(?P<splat>.*))?"
        elif re.fullmatch(r":\w+", segment):
            text += f"/(?P<{segment[1:]}>[^/]+)"
        elif segment:
            text += "/" + re.escape(segment).replace(r"\*", ".*")
    return re.compile(text or "/")
