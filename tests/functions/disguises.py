"""Attacks that say a thing twice, in another place or in another spelling."""

import base64
import json
from collections.abc import Iterator

from tests.functions.attack import GOOD, JSON, KEY, MISSING, SERVER, Attack, get, post


def disguises() -> Iterator[Attack]:
    """Requests that say twice, or in another place, who asks and what for."""
    asked = json.dumps(GOOD).encode()
    both = {**JSON, "Authorization": "Bearer alpha", "authorization": "Bearer alpha"}
    yield Attack("a key twice", 401, "unauthorized", headers=both, body=asked, hosts=SERVER)
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-HTTP-Path-Override"):
        yield Attack(
            f"no key, and {name}", 401, "unauthorized", "GET", "/api/chat?query=x",
            {name: "/api/health"},
        )  # fmt: skip
    for name in ("X-Forwarded-User", "X-Remote-User", "X-Amzn-Oidc-Identity", "X-Riverrun-Visitor"):
        headers = {**JSON, name: "alpha"}
        yield Attack(f"no key, and {name}", 401, "unauthorized", headers=headers, body=asked)
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example:8888",
    ):
        headers = {**KEY, "Host": host}
        yield Attack(
            f"host {host}", 403, "forbidden", "GET", "/api/chat?query=x", headers, hosts=SERVER
        )
    for path in (
        "http://evil.example/api/chat?query=x",
        "//evil.example/api/chat?query=x",
        "*",
        "localhost:1",
    ):
        headers = {"Host": "localhost"}
        yield get(f"target {path}", 404, "", path, headers=headers, hosts=SERVER)
    yield Attack("a tunnel", 404, "", "CONNECT", "localhost:1", KEY, hosts=SERVER)
    for upgrade in ("websocket", "h2c", "TLS/1.2"):
        headers = {
            "Connection": "Upgrade",
            "Upgrade": upgrade,
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        yield Attack(
            f"an upgrade to {upgrade}",
            401,
            "unauthorized",
            "GET",
            "/api/chat?query=x",
            headers,
            hosts=SERVER,
        )
    yield Attack(
        "?_method=DELETE", 404, "not_found", "GET", f"/api/chat/runs/{MISSING}?_method=DELETE", KEY
    )
    yield Attack(
        "a deletion with a body",
        404,
        "not_found",
        "DELETE",
        f"/api/chat/runs/{MISSING}",
        {**KEY, **JSON},
        b'{"owner":null}',
    )
    tokens = {
        "alg NONE": '{"alg":"NONE"}',
        "alg of a list": '{"alg":["RS256"]}',
        "no alg": "{}",
        "HS256": '{"alg":"HS256","typ":"JWT"}',
        "jku": '{"alg":"RS256","jku":"https://evil.example/k"}',
        "x5u": '{"alg":"RS256","x5u":"https://evil.example/k"}',
        "its own key": '{"alg":"RS256","jwk":{"kty":"oct","k":"AA"}}',
        "kid of a file": '{"alg":"HS256","kid":"../../dev/null"}',
        "kid of SQL": '{"alg":"RS256","kid":"x\' OR 1=1 --"}',
        "crit": '{"alg":"RS256","crit":["b64"],"b64":false}',
        "deep": '{"alg":' + "[" * 900 + "]" * 900 + "}",
        "alg of 1e999": '{"alg":1e999}',
        "no object": "[1]",
    }
    for name, head in tokens.items():
        text = base64.urlsafe_b64encode(head.encode()).decode().rstrip("=")
        headers = {**JSON, "Authorization": f"Bearer {text}.eyJzdWIiOiJhIn0.AAAA"}
        yield Attack(f"JWT, {name}", 401, "unauthorized", headers=headers, body=asked)


def doubles() -> Iterator[Attack]:
    """Parameters that stand twice, or in a shape that another reader would take otherwise."""
    path = f"/api/chat/runs/{MISSING}/events"
    for query in (
        "after=0&after=1",
        "lastEventId=x&lastEventId=y",
        "token=a&token=b",
        "resume=maybe",
        "resume=1&resume=0",
        "after=0x1",
        "after=+1",
        "after=%2B1",
        "after=1%00",
    ):
        yield get(f"events?{query}", 400, "invalid_request", f"{path}?{query}")
    one = f"{MISSING}-1"
    yield get(
        "two cursors", 400, "invalid_request", f"/api/chat?lastEventId={one}&lastEventId={one}"
    )
    for query in (
        "token=",
        "token=rl1..",
        "token=alpha",
        "token=Bearer%20alpha",
        "token=" + "a" * 3000,
    ):
        yield get(f"events?{query[:30]}", 401, "unauthorized", f"{path}?{query}")
    for limit in ("1&limit=2", "1.0", "0x10", "+1", "1_0", "NaN", "null"):
        yield get(f"runs, limit={limit}", 400, "invalid_request", f"/api/chat/runs?limit={limit}")


def oddities() -> Iterator[Attack]:
    """JSON and texts that readers are known to differ on."""
    for name, body in {
        "a name twice, spelled otherwise": b'{"query":"x","qu\\u0065ry":"y"}',
        "a number of 5,000 digits": b'{"query":"x","top_k":' + b"1" * 5000 + b"}",
        "a number with a sign": b'{"query":"x","top_k":+5}',
        "a number that begins with 0": b'{"query":"x","top_k":05}',
        "hexadecimal": b'{"query":"x","top_k":0x5}',
        "half a number": b'{"query":"x","top_k":5.}',
        "a line break in a text": b'{"query":"a\nb"}',
        "an escape that is none": b'{"query":"\\x41"}',
        "half an escape": b'{"query":"\\u00"}',
        "a text that does not end": b'{"query":"x',
        "CESU-8": b'{"query":"\xed\xa0\x80\xed\xb0\x80"}',
        "a form feed": b'{"query":"x"}\x0c',
        "UTF-32": '{"query":"x"}'.encode("utf-32"),
        "two marks": b"\xef\xbb\xbf\xef\xbb\xbf{}",
    }.items():
        yield post(name, 400, "invalid_json", body)
    for name, data in {
        "top_k 5.0": {"query": "x", "top_k": 5.0},
        "top_k 1e999": None,
        "top_k -0": None,
        "zero-width": {"query": "\u200b\u2060\ufeff"},
        "bidi": {"query": "\u202e\u202d"},
        "tags": {"query": "\U000e0041"},
        "separators": {"query": "\u2028\u2029"},
        "a session with a next line": {"query": "x", "sessionId": "a\u0085b"},
        "a session with U+2028": {"query": "x", "sessionId": "a\u2028b"},
        "a session that is true": {"query": "x", "sessionId": True},
        "a session with half a pair": {"query": "x", "sessionId": "\ud800"},
        "metadata with half a pair": {"query": "x", "metadata": {"\ud800": "x"}},
        "metadata that is a list": {"query": "x", "metadata": ["a"]},
        "metadata with a number": {"query": "x", "metadata": {"a": 1}},
        "both names": {"query": "x", "top_k": 21, "topK": 1},
        "resume as text": {"query": "x", "resume": "yes"},
        "include that is an object": {"query": "x", "include": {"tokens": True}},
    }.items():
        if name == "top_k 1e999":
            yield post(name, 422, "validation_error", b'{"query":"x","top_k":1e999}')
        elif name == "top_k -0":
            yield post(name, 422, "validation_error", b'{"query":"x","top_k":-0}')
        else:
            yield post(name, 422, "validation_error", data)
    for coding in ("identity, gzip", "GZIP", "gzip, identity", "chunked"):
        yield post(
            f"coded by {coding}", 415, "unsupported_media", headers={"Content-Encoding": coding}
        )
    for key in ("a\tb", "\x7f"):
        yield post(
            f"key {key!r}", 400, "invalid_request", headers={"Idempotency-Key": key}, hosts=SERVER
        )


def more_pages() -> Iterator[Attack]:
    """Origins that nearly are the listed one, and whatever else a browser fetches by itself."""
    for origin in (
        "HTTPS://PAGE.EXAMPLE",
        "https://page.example:443",
        "https://page.example%2eevil",
        "https://page.example#",
        "https://page.example?",
        "https://page.example\\.evil",
        "https://page.example.",
        "about:blank",
        "data:",
        "blob:null",
        "https://",
        "https://localhost.evil",
        "http://127.0.0.1.evil",
        "http://[::1",
        "https://page_example",
        "",
        " ",
    ):
        yield post(f"origin {origin!r}", 403, "forbidden", headers={"Origin": origin})
    for dest in (
        "audio",
        "audioworklet",
        "embed",
        "frame",
        "manifest",
        "paintworklet",
        "report",
        "serviceworker",
        "sharedworker",
        "track",
        "worker",
        "xslt",
        "webidentity",
        "nonsense",
    ):
        headers = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": "same-origin"}
        yield get(f"for a {dest}", 403, "forbidden", "/api/chat?query=x", headers=headers)
    for site in ("same-site", "cross-site"):
        headers = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": site}
        yield get(
            f"a link of a {site} page", 403, "forbidden", "/api/chat?query=x", headers=headers
        )
    for name in ("Purpose", "X-Moz"):
        yield get(
            f"ahead: {name}", 403, "forbidden", "/api/chat?query=x", headers={name: "prefetch"}
        )


DISGUISES = [*disguises(), *doubles(), *oddities(), *more_pages()]
