"""From the JSON Lambda hands over to an ASGI scope and a request body.

One mapping for every host: our runtime streams with it, and Mangum is given it in `buffered`
for the stock runtime. Mangum's own request mapping is not used: the differential table in
tests/services/lambda_runtime/test_payload.py holds each row to what uvicorn makes of the
same request on a socket, and Mangum departs from it in raw paths, repeated headers and keys,
encodings and absent fields. This module knows nothing of responses, sockets or the runtime.

Shapes: ``http`` (payload format 2.0: Function URLs and HTTP APIs), ``rest`` (REST APIs, and
format 1.0 of HTTP APIs), ``alb`` (Application Load Balancers). Any field may be missing or null.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote, unquote

from .errors import LambdaRuntimeError

Shape = Literal["http", "rest", "alb"]
Headers = list[tuple[bytes, bytes]]

# Everything printable that may stand in a path or a query as it is, or has been encoded already.
_KEPT_CHARACTERS = "%/:@!$&'()*+,;=~-._?#[]{}|\\^`\"<>"
_DECODED_PATH = "/:@!$&'()*+,;=~-._"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class PayloadError(LambdaRuntimeError):
    """The payload is not an HTTP request this runtime understands."""

    code = "invalid_request"


class NotHttpError(PayloadError):
    """The payload is an event of another kind: a queue's, a schedule's, a socket's."""


def shape_of(payload: object) -> Shape | None:
    """Which front wrote the payload, or None when it is no HTTP request."""
    if not isinstance(payload, dict):
        return None
    context = payload.get("requestContext")
    if not isinstance(context, dict) or "methodArn" in payload or "routeArn" in payload:
        return None  # an authorizer is asked about a request, and not to answer it
    if "elb" in context:
        return "alb"
    if payload.get("version") == "2.0" and isinstance(context.get("http"), dict):
        return "http"
    if isinstance(payload.get("httpMethod"), str):
        return "rest"
    return None


def may_stream(payload: Mapping[str, Any], shape: Shape) -> bool:
    """Whether the front that wrote the payload can carry a stream at all.

    Load balancers and HTTP APIs cannot. An HTTP API shares format 2.0 with Function URLs, and
    may have a domain of its own: so a URL is recognised, by its domain, and everything else of
    that format is buffered. Only an HTTP API names format 1.0; a REST API's payload has none.
    """
    if shape == "rest":
        return "version" not in payload
    if shape == "alb":
        return False
    return ".lambda-url." in _text(payload["requestContext"].get("domainName"))


def read(payload: object) -> tuple[Shape, dict[str, Any], bytes]:
    """Shape, scope and body of any payload. Raises `NotHttpError` for other events."""
    shape = shape_of(payload)
    if shape is None or not isinstance(payload, dict):
        raise NotHttpError(
            "This function answers HTTP requests: payload format 2.0 (Function URL, HTTP API), "
            "1.0 (REST API) or a load balancer's. This payload is none of them. Give events of "
            "other kinds a handler function of their own."
        )
    return (shape, *read_request(payload, shape))


def add_base_path(scope: dict[str, Any], base_path: str) -> None:
    """Make a custom domain's `base_path` part of `root_path`, where the path begins with it."""
    inner = scope["path"].removeprefix(scope["root_path"])
    if base_path and f"{inner}/".startswith(f"{base_path}/"):
        scope["root_path"] += base_path


def read_request(payload: Mapping[str, Any], shape: Shape) -> tuple[dict[str, Any], bytes]:
    """The ASGI 3.0 HTTP scope (spec_version 2.4) and the whole body.

    Header values are latin-1 bytes, as on the wire; one that only fits UTF-8 is sent as that.
    Raises `PayloadError` for what no front sends: a body that is not the base64 it claims to
    be, a line break in a header, a field of the wrong type.
    """
    context = payload["requestContext"]
    if shape == "http":
        http = context["http"]
        method, peer = http.get("method"), http.get("sourceIp")
        headers = _single_headers(payload)
        raw_path = _quote_unsendable(_text(payload.get("rawPath")) or _text(http.get("path")))
        root_path = _stage_prefix(context, raw_path)
        query = _raw_query(payload)
    elif shape == "rest":
        identity = _mapping(context, "identity")
        method, peer = payload["httpMethod"], identity.get("sourceIp")
        headers = _repeated_headers(payload)
        path = _text(payload.get("path")) or "/"
        root_path = _rest_prefix(context, path)
        raw_path = quote(root_path + path, safe=_DECODED_PATH, errors="surrogatepass")
        query = _query(payload, quote_part=_encode)
    else:
        method, peer = payload.get("httpMethod"), None
        headers = _repeated_headers(payload)
        raw_path = _quote_unsendable(_text(payload.get("path")))
        root_path = ""
        query = _query(payload, quote_part=_quote_unsendable)
    if not isinstance(method, str) or not method:
        raise PayloadError("The payload has no HTTP method.")
    first = dict(reversed(headers))
    if shape == "alb":  # the balancer appends the peer it saw to what the client claimed
        forwarded = first.get(b"x-forwarded-for", b"").decode("latin-1")
        peer = forwarded.rpartition(",")[2].strip()
    scheme = _scheme(first)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": _http_version(context),
        "method": method,
        "scheme": scheme,
        "path": unquote(raw_path) or "/",
        "raw_path": (raw_path or "/").encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": headers,
        "client": (peer, 0) if isinstance(peer, str) and peer else None,
        "server": _server(first, scheme, _text(context.get("domainName"))),
        "extensions": {},
    }
    return scope, _body(payload)


def _single_headers(payload: Mapping[str, Any]) -> Headers:
    """Format 2.0: one value per name, cookies apart."""
    cookies = payload.get("cookies")
    pairs = list(_mapping(payload, "headers").items())
    if isinstance(cookies, list) and cookies:
        pairs = [(name, value) for name, value in pairs if name.lower() != "cookie"]
        pairs.append(("cookie", "; ".join(_text(cookie) for cookie in cookies)))
    return list(_encode_headers(pairs))


def _repeated_headers(payload: Mapping[str, Any]) -> Headers:
    """Format 1.0 and load balancers: every value on its own line, as it was sent."""
    repeated = _mapping(payload, "multiValueHeaders")
    pairs: list[tuple[str, Any]] = []
    for name, values in repeated.items():
        pairs.extend((name, value) for value in (values if isinstance(values, list) else [values]))
    known = {name.lower() for name, _ in pairs}
    pairs += [pair for pair in _mapping(payload, "headers").items() if pair[0].lower() not in known]
    return list(_encode_headers(pairs))


def _encode_headers(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in pairs:
        if value is None:
            continue
        text = value if isinstance(value, str) else str(value)
        if any(mark in text or mark in name for mark in "\r\n\0"):
            raise PayloadError("A request header holds a line break or a NUL.")
        yield _header_bytes(name.lower()), _header_bytes(text)


def _header_bytes(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return _utf8(text)


def _raw_query(payload: Mapping[str, Any]) -> str:
    raw = payload.get("rawQueryString")
    if isinstance(raw, str):
        return _quote_unsendable(raw.removeprefix("?"))
    return _query(payload, quote_part=_encode)


def _query(payload: Mapping[str, Any], *, quote_part: Callable[[str], str]) -> str:
    """Every pair of the query; repeated keys keep every value."""
    repeated = _mapping(payload, "multiValueQueryStringParameters")
    single = _mapping(payload, "queryStringParameters")
    parts: list[str] = []
    for key, values in {**single, **repeated}.items():
        parts.extend(
            f"{quote_part(key)}={quote_part(_text(value))}"
            for value in (values if isinstance(values, list) else [values])
        )
    return "&".join(parts)


def _encode(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _quote_unsendable(text: str) -> str:
    """Percent-encode only what no request line can hold: spaces, controls, non-ASCII."""
    return quote(text, safe=_KEPT_CHARACTERS, errors="surrogatepass")


def _stage_prefix(context: Mapping[str, Any], raw_path: str) -> str:
    """An HTTP API's named stage is the first segment of the path it passes on."""
    stage = _text(context.get("stage"))
    prefix = f"/{stage}"
    named = stage not in {"", "$default"}
    return prefix if named and (raw_path + "/").startswith(prefix + "/") else ""


def _rest_prefix(context: Mapping[str, Any], path: str) -> str:
    """A REST API's stage is in the public path, and not in the one it passes on.

    ASGI's `path` includes `root_path`, so that links to the application itself come out right.
    """
    prefix = "/" + _text(context.get("stage"))
    public = _text(context.get("path"))
    staged = prefix != "/" and prefix + path in {public, unquote(public)}
    return prefix if staged else ""


def _scheme(headers: Mapping[bytes, bytes]) -> str:
    scheme = headers.get(b"x-forwarded-proto", b"").split(b",")[0].strip().lower()
    return "http" if scheme == b"http" else "https"


def _server(headers: Mapping[bytes, bytes], scheme: str, domain: str) -> tuple[str, int] | None:
    host = headers.get(b"host", b"").decode("latin-1") or domain
    if not host:
        return None
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):  # no port, or a bare IPv6 address
        name, port = host, headers.get(b"x-forwarded-port", b"").decode("latin-1")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    name = name.removeprefix("[").removesuffix("]")
    return name, number or _DEFAULT_PORTS[scheme]


def _http_version(context: Mapping[str, Any]) -> str:
    http = context.get("http")
    protocol = http.get("protocol") if isinstance(http, dict) else context.get("protocol")
    version = _text(protocol).upper().removeprefix("HTTP/")
    if version in {"2", "2.0"}:
        return "2"
    return version if version in {"1.0", "1.1"} else "1.1"


def _body(payload: Mapping[str, Any]) -> bytes:
    body = payload.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise PayloadError("The payload's body must be text.")
    if payload.get("isBase64Encoded") is not True:
        return _utf8(body)
    from base64 import b64decode

    try:
        return b64decode(body, validate=True)
    except ValueError as error:
        raise PayloadError("The payload's body is not the base64 it claims to be.") from error


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PayloadError("The payload holds text that is not Unicode.") from error


def _mapping(container: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = container.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
