"""What strangers try, each with the status that it is promised: one table for every host.

A row is a request and what is answered. None of them may start a run. `hosts` names those that a
row is for: what a host refuses by itself, or does not serve, is no row of the others.
"""

import json
from collections.abc import Iterator

from tests.functions.attack import ALL, DIRECT, GOOD, JSON, KEY, MISSING, SERVER, Attack, get, post
from tests.functions.disguises import DISGUISES


def credentials() -> Iterator[Attack]:
    """Nothing, something else, and nearly a key."""
    asked = json.dumps(GOOD).encode()
    given: dict[str, dict[str, str]] = {
        "no key": {},
        "an empty header": {"Authorization": ""},
        "a scheme alone": {"Authorization": "Bearer"},
        "a scheme and a blank": {"Authorization": "Bearer "},
        "a key without a scheme": {"Authorization": "alpha"},
        "Basic": {"Authorization": "Basic YWxwaGE6"},
        "a key of another case": {"Authorization": "Bearer ALPHA"},
        "a key cut short": {"Authorization": "Bearer alph"},
        "a key and more": {"Authorization": "Bearer alphaa"},
        "both keys": {"Authorization": "Bearer alpha,beta"},
        "a key with a NUL's name": {"Authorization": "Bearer alpha%00"},
        "a key in quotes": {"Authorization": 'Bearer "alpha"'},
        "the word of a hash": {"Authorization": "Bearer " + "0" * 64},
        "a JWT without a signature": {
            "Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."
        },
        "a visitor that no one let in": {"Authorization": "Bearer rv1.e30.AAAA"},
        "a link as a key": {"Authorization": "Bearer rl1.e30.AAAA"},
        "a key in a cookie": {"Cookie": "key=alpha; Authorization=Bearer alpha"},
        "a key in another header": {"X-Api-Key": "alpha"},
        "a key beside no signature": {"X-Riverrun-Authorization": "Bearer alpha"},
        "8,000 characters": {"Authorization": "Bearer " + "a" * 8000},
    }
    for name, headers in given.items():
        hosts: tuple[str, ...] = ALL
        if name == "a key beside no signature":
            hosts = SERVER  # behind a signature it is where a key belongs
        yield Attack(
            name, 401, "unauthorized", headers={**JSON, **headers}, body=asked, hosts=hosts
        )
    yield Attack(
        "a key in the URL", 401, "unauthorized", "GET", "/api/chat?query=x&key=alpha&token=alpha"
    )
    paths = {
        "GET": [
            "/api/chat?query=x",
            "/.netlify/functions/chat?query=x",
            f"/api/chat?lastEventId={MISSING}-1",
            f"/api/chat/runs/{MISSING}",
            f"/api/chat/runs/{MISSING}/events",
            f"/api/chat/runs/{MISSING}/events?token=x",
            f"/.netlify/functions/chat/runs/{MISSING}",
            "/api/chat/runs",
        ],
        "DELETE": [f"/api/chat/runs/{MISSING}", "/api/chat/sessions/alice"],
        "POST": [
            "/api/chat",
            "/.netlify/functions/chat",
            f"/api/chat/runs/{MISSING}/stop",
            f"/api/chat/runs/{MISSING}/token",
            f"/api/chat/runs/{MISSING}/feedback",
        ],
    }
    for method, some in paths.items():
        for path in some:
            yield Attack(f"no key: {method} {path}", 401, "unauthorized", method, path)
    for method, path in (
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("GET", f"/v1/responses/resp_{MISSING}"),
        ("GET", "/v1/models"),
        ("POST", "/api/ui/chat"),
        ("GET", "/api/ui/chat/alice/stream"),
        ("POST", "/api/agui"),
    ):
        body = b"{}" if method == "POST" else None
        headers = JSON if body else {}
        name = f"no key: {method} {path}"
        yield Attack(name, 401, "", method, path, headers, body, SERVER)


def runs() -> Iterator[Attack]:
    """Ids that are no run's, and runs that are not there: one answer."""
    ids = {
        "missing": MISSING,
        "31 digits": MISSING[1:],
        "33 digits": MISSING + "0",
        "3,000 digits": "a" * 3000,
        "capitals": MISSING.upper(),
        "a traversal": "..%2f..%2f..%2fetc%2fpasswd",
        "a NUL": MISSING[:-1] + "%00",
        "SQL": "1%27%20OR%20%271%27=%271",
        "a line break": "a%0d%0aX-Evil:%201",
        "another script": "%D9%A0" * 32,
        "a wildcard": "*",
        "an item of the table": "ledger%23total",
    }
    for name, run in ids.items():
        for method, end in (
            ("GET", ""), ("GET", "/events"), ("POST", "/stop"), ("POST", "/token"), ("DELETE", ""),
        ):  # fmt: skip
            path = f"/api/chat/runs/{run}{end}"
            yield Attack(f"{name}: {method} …{end}", 404, "not_found", method, path, KEY)


def deletions() -> Iterator[Attack]:
    """Sessions that are not theirs to delete, and lists longer than is good."""
    for name in ("alice", "session", "%2e%2e%2fx", "%00", "x%0d%0ay", "a/b/c", "*", "a" * 3000):
        path = f"/api/chat/sessions/{name}"
        yield Attack(f"session {name[:20]}", 404, "not_found", "DELETE", path, KEY)
    path = f"/api/chat/runs/{MISSING}"
    evil = {**KEY, "Origin": "https://evil.example"}
    yield Attack("a page deletes", 403, "forbidden", "DELETE", path, evil)
    sneaky = {**KEY, "X-HTTP-Method-Override": "DELETE"}
    yield Attack("a POST that says DELETE", 405, "method_not_allowed", "POST", path, sneaky)
    yield Attack("all runs", 405, "method_not_allowed", "DELETE", "/api/chat/runs", KEY)
    yield Attack("all sessions", 404, "not_found", "DELETE", "/api/chat/sessions", KEY)
    for limit in ("0", "-1", "101", "1e2", "%D9%A5", "9" * 30):
        yield get(f"limit={limit}", 400, "invalid_request", f"/api/chat/runs?limit={limit}")


def cursors() -> Iterator[Attack]:
    """What is no cursor, and one of a run that is not there."""
    for text in (
        "x", "-", f"{MISSING}", f"{MISSING}-", f"{MISSING}--1", f"{MISSING}-1.0", f"{MISSING}-01",
        f"{MISSING}-1e3", f"{MISSING}-9999999999", f"{MISSING.upper()}-1", f"{MISSING[1:]}-1",
        f"../{MISSING}-1", f"{MISSING}-1 ", "null", "undefined", "0", "-1", "a" * 4000,
    ):  # fmt: skip
        quoted = text.replace(" ", "%20")
        yield get(
            f"cursor {text[:40]!r}", 400, "invalid_request", f"/api/chat?lastEventId={quoted}"
        )
    yield get("a cursor that is empty", 400, "invalid_request", "/api/chat?query=x&lastEventId=")
    headers = {"Last-Event-ID": "x"}
    yield get("a header", 400, "invalid_request", "/api/chat?query=x", headers=headers)
    headers = {"Last-Event-ID": f"{MISSING}-1"}
    yield get("of no run", 404, "not_found", "/api/chat?query=x", headers=headers)
    yield post("of no run, with a question", 404, "not_found", headers=headers)
    for after in ("-1", "x", "1.5", "9" * 12, "%D9%A5"):
        path = f"/api/chat/runs/{MISSING}/events?after={after}"
        yield get(f"after={after}", 400, "invalid_request", path)


def bodies() -> Iterator[Attack]:
    """What is not JSON, and JSON that is no question."""
    for name, body in {
        "nothing": b"",
        "a word": b"hello",
        "a comma too many": b'{"query":"x",}',
        "a comment": b'{"query":"x"/**/}',
        "single quotes": b"{'query':'x'}",
        "NaN": b'{"query":"x","top_k":NaN}',
        "Infinity": b'{"query":"x","top_k":-Infinity}',
        "a name twice": b'{"query":"x","query":"y"}',
        "a name twice, within": b'{"query":"x","metadata":{"a":"1","a":"2"}}',
        "Latin-1": b'{"query":"\xe9"}',
        "an overlong form": b'{"query":"\xc0\xae"}',
        "UTF-16": '{"query":"x"}'.encode("utf-16"),
        "a byte order mark": b'\xef\xbb\xbf{"query":"x"}',
        "5,000 brackets": b"[" * 5000,
        "5,000 braces": b'{"a":' * 5000,
        "two objects": b'{"query":"x"}{"query":"y"}',
        "a NUL behind": b'{"query":"x"}\x00',
    }.items():
        yield post(name, 400, "invalid_json", body)
    for name, body in {
        "a list": b"[1]",
        "a text": b'"x"',
        "a number": b"1",
        "null": b"null",
    }.items():
        yield post(name, 400, "invalid_request", body)
    for name, data in {
        "no query": {},
        "a blank query": {"query": " \t\n"},
        "a query that is a number": {"query": 1},
        "a query that is a list": {"query": ["x"]},
        "a query that is an object": {"query": {"$gt": ""}},
        "a query that is null": {"query": None},
        "a NUL": {"query": "a\x00b"},
        "8,001 characters": {"query": "a" * 8001},
        "a lone surrogate": {"query": "\ud800"},
        "top_k 0": {"query": "x", "top_k": 0},
        "top_k 21": {"query": "x", "top_k": 21},
        "top_k as text": {"query": "x", "top_k": "5"},
        "top_k 1.5": {"query": "x", "top_k": 1.5},
        "top_k true": {"query": "x", "top_k": True},
        "top_k 1e400": {"query": "x", "top_k": 10**40},
        "streaming as text": {"query": "x", "streaming": "yes"},
        "streaming 1": {"query": "x", "streaming": 1},
        "an event that is none": {"query": "x", "include": ["secrets"]},
        "include as text": {"query": "x", "include": "tokens"},
        "metadata that is deep": {"query": "x", "metadata": {"a": {"b": "c"}}},
        "17 metadata": {"query": "x", "metadata": {str(n): "x" for n in range(17)}},
        "a session of 129": {"query": "x", "sessionId": "a" * 129},
        "a session with a line break": {"query": "x", "sessionId": "a\r\nb"},
        "a session that is a list": {"query": "x", "sessionId": ["a"]},
    }.items():
        yield post(name, 422, "validation_error", data)


def requests() -> Iterator[Attack]:
    """Kinds, sizes, methods, places."""
    asked = json.dumps(GOOD).encode()
    for kind in (
        "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
        "application/jsonx", "text/json", "application/xml", "application/json/x",
    ):  # fmt: skip
        headers = {**KEY, "Content-Type": kind}
        name = f"a body of {kind or 'no kind'}"
        yield Attack(name, 415, "unsupported_media", headers=headers, body=asked)
    for coding in ("gzip", "br", "deflate", "x-evil"):
        headers = {"Content-Encoding": coding}
        yield post(f"coded by {coding}", 415, "unsupported_media", headers=headers)
    yield post("65,537 bytes", 413, "payload_too_large", b'{"query":"' + b"a" * 65527)
    yield post("a megabyte", 413, "payload_too_large", b" " * 1_000_000)
    yield get("9,000 characters", 414, "uri_too_long", "/api/chat?query=" + "a" * 9000)
    for method in ("PUT", "DELETE", "PATCH", "PROPFIND", "QUERY"):
        for path in ("/api/chat?query=x", f"/api/chat/runs/{MISSING}/stop"):
            # A Web Function's front does not know these two, and answers 400 itself.
            hosts: tuple[str, ...] = (
                ("server", "function") if method in ("PROPFIND", "QUERY") else ALL
            )
            name = f"{method} {path}"
            yield Attack(name, 405, "method_not_allowed", method, path, KEY, hosts=hosts)
    yield Attack("HEAD", 405, "", "HEAD", "/api/chat?query=x", KEY)
    yield Attack("TRACE", 405, "", "TRACE", "/api/chat?query=x", KEY, hosts=SERVER)
    yield get(
        "another method in a header", 405, "method_not_allowed",
        f"/api/chat/runs/{MISSING}/stop", headers={"X-HTTP-Method-Override": "POST"},
    )  # fmt: skip
    for path in (
        "/api/nothing", "/api/chat/", "/api/chat/x", "/api/chat/run", "/api/chat%2fx",
        "/api/chat/runs/x/y", "/api//chat", "/api/CHAT", "/.netlify/functions/", "/api/.env",
        "/api/chat/../../etc/passwd%00", "/.netlify/functions/chat.py",
    ):  # fmt: skip
        hosts = DIRECT if ".." in path or "//" in path else ALL
        yield get(f"no place: {path}", 404, "not_found", path, hosts=hosts)
    for path in ("/.git/config", "/_headers", "/../pyproject.toml", "/%2e%2e/pyproject.toml"):
        yield get(f"no page: {path}", 404, "", path, hosts=SERVER)
    for accept in ("application/json", "text/html", "text/event-stream;q=0"):
        data = {"query": "x", "streaming": True}
        headers = {"Accept": accept}
        yield post(f"a stream as {accept}", 406, "not_acceptable", data, headers=headers)
    for key in ("", "a" * 129, "caf\xe9"):
        hosts = DIRECT if not key.isascii() or not key else ALL
        headers = {"Idempotency-Key": key}
        yield post(f"key {key[:5]!r}", 400, "invalid_request", headers=headers, hosts=hosts)


def urls() -> Iterator[Attack]:
    """Questions in a URL that are none."""
    for query, status, code in (
        ("query=a&query=b", 400, "invalid_request"),
        ("query=a&streaming=1&streaming=0", 400, "invalid_request"),
        ("query=%ff", 400, "invalid_request"),
        ("query=%C0%AE", 400, "invalid_request"),
        ("query=", 422, "validation_error"),
        ("query=%00", 422, "validation_error"),
        ("", 422, "validation_error"),
        ("query=a&streaming=maybe", 422, "validation_error"),
        ("query=a&top_k=0", 422, "validation_error"),
        ("query=a&top_k=%D9%A5", 422, "validation_error"),
        ("query=a&include=secrets", 422, "validation_error"),
        ("query=a&metadata=[1]", 422, "validation_error"),
        ("query=a&metadata=" + "[" * 3000, 422, "validation_error"),
    ):
        hosts: tuple[str, ...] = ALL
        if "%ff" in query or "%C0" in query:
            hosts = SERVER  # a front decodes and spells a query anew
        if "[[[" in query:
            hosts = DIRECT  # spelled anew, it is too long a URL
        yield get(f"?{query[:40]}", status, code, f"/api/chat?{query}", hosts=hosts)


def pages() -> Iterator[Attack]:
    """Pages of other origins, and what a browser does by itself."""
    for origin in (
        "https://evil.example", "null", "https://page.example.evil.example",
        "https://evilpage.example", "http://page.example", "https://page.example:8443",
        "https://page.example/", "https://page.example@evil.example", "file://", "*",
        "https://sub.page.example", "https://page.example, https://evil.example",
        "chrome-extension://abc", "https://PAGE.example.evil",
    ):  # fmt: skip
        yield post(f"origin {origin}", 403, "forbidden", headers={"Origin": origin})
        yield Attack(
            f"preflight from {origin}", 403, "forbidden", "OPTIONS", "/api/chat",
            {"Origin": origin, "Access-Control-Request-Method": "POST"},
        )  # fmt: skip
    cross = {"Sec-Fetch-Site": "cross-site"}
    yield get("an image of another site", 403, "forbidden", "/api/chat?query=x", headers=cross)
    yield post("a form of another site", 403, "forbidden", headers=cross)
    for dest in ("image", "iframe", "script", "style", "object", "video", "font"):
        headers = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": "same-origin"}
        yield get(f"for a {dest}", 403, "forbidden", "/api/chat?query=x", headers=headers)
    for purpose in ("prefetch", "prefetch;prerender"):
        headers = {"Sec-Purpose": purpose}
        yield get(f"ahead: {purpose}", 403, "forbidden", "/api/chat?query=x", headers=headers)


ATTACKS = [
    *credentials(), *runs(), *deletions(), *cursors(), *bodies(), *requests(), *urls(), *pages(),
    *DISGUISES,
]  # fmt: skip
