"""From what a function says to an HTTP answer: the prelude, and the buffered proxy object.

Each front forgives differently; what it cannot read is a `MalformedError`, and the front has
its own words for that. Knows nothing of sockets.
"""

import base64
import binascii
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.invocation import PAYLOAD_LIMIT, Response
from emulator.json_input import parse_json

HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"
DELIMITER = b"\0" * 8
# "The delimiter must appear within the first 16 KB of the stream."
PRELUDE_LIMIT = 16 * 1024

_PRELUDE_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "cookies"})
HOP_BY_HOP = frozenset(
    {
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
REMAPPED = frozenset({"connection", "content-length", "date"})
REST_REMAPPED = REMAPPED | {"server", "www-authenticate"}


class MalformedError(Exception):
    """The function's answer is not what this front understands."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Status, headers and body for the client."""

    status: int
    headers: list[tuple[str, str]]
    body: AsyncGenerator[bytes, None]


async def read_streamed(
    response: Response, *, strict: bool = False, remapped: frozenset[str] = REMAPPED
) -> HttpAnswer:
    """Read the prelude and hand over the rest.

    A function URL takes a stream without the prelude's content type as a plain 200; `strict`,
    as a REST API, it takes nothing but the prelude and its four keys. Raises `MalformedError`
    and `BrokenResponseError`.
    """
    if not strict and response.content_type.partition(";")[0].strip() != HTTP_INTEGRATION:
        headers = [("Content-Type", response.content_type)] if response.content_type else []
        return HttpAnswer(200, headers, _rest(b"", response))
    start = b""
    while (end := start.find(DELIMITER, 0, PRELUDE_LIMIT)) < 0:
        if len(start) >= PRELUDE_LIMIT:
            raise MalformedError("no delimiter in the first 16 KB")
        data = await response.read()
        if not data:
            raise MalformedError("the stream ended before the delimiter")
        start += data
    prelude = _object(start[:end])
    if strict and not prelude.keys() <= _PRELUDE_KEYS:
        raise MalformedError(f"keys a REST API refuses: {sorted(prelude.keys() - _PRELUDE_KEYS)}")
    headers = _headers(prelude, remapped, multi=strict)
    rest = start[end + len(DELIMITER) :]
    return HttpAnswer(_status(prelude), headers, _rest(rest, response))


async def read_buffered(
    response: Response, *, version: str = "2.0", remapped: frozenset[str] = REMAPPED
) -> HttpAnswer:
    """Read the whole proxy object.

    Format 2.0 takes JSON without `statusCode` as the body itself; 1.0 (REST) does not, and
    of a stream it gives the head but no body. Raises `MalformedError`, `BrokenResponseError`.
    """
    content = await response.read_all(PAYLOAD_LIMIT)
    if version == "1.0" and DELIMITER in content:
        prelude = _object(content.partition(DELIMITER)[0])
        return HttpAnswer(_status(prelude), _headers(prelude, remapped, multi=True), once(b""))
    try:
        document = parse_json(content)
    except ValueError as error:
        raise MalformedError("not JSON") from error
    if version == "2.0" and not (isinstance(document, dict) and "statusCode" in document):
        return HttpAnswer(200, [("Content-Type", "application/json")], once(content))
    if not isinstance(document, dict):
        raise MalformedError("not an object")
    if version == "1.0" and "statusCode" not in document:
        raise MalformedError("no statusCode")
    headers = _headers(document, remapped, multi=version == "1.0")
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.insert(0, ("Content-Type", "application/json"))
    return HttpAnswer(_status(document), headers, once(_content(document)))


async def _rest(start: bytes, response: Response) -> AsyncGenerator[bytes, None]:
    if start:
        yield start
    while data := await response.read():
        yield data


async def once(body: bytes) -> AsyncGenerator[bytes, None]:
    """A body that is here already."""
    if body:
        yield body


def _object(text: bytes) -> dict[str, Any]:
    try:
        document = parse_json(text)
    except ValueError as error:
        raise MalformedError("the prelude is not JSON") from error
    if not isinstance(document, dict):
        raise MalformedError("the prelude is not an object")
    return document


def _status(document: Mapping[str, Any]) -> int:
    status = document.get("statusCode", 200)
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status)
    # A final answer of 1xx cannot be framed, so it is refused with what is no status at all.
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise MalformedError(f"statusCode {status!r}")
    return status


def _headers(
    document: Mapping[str, Any], remapped: frozenset[str], *, multi: bool
) -> list[tuple[str, str]]:
    result: list[tuple[str, str]] = []
    several = _mapping(document, "multiValueHeaders") if multi else {}
    taken = {name.lower() for name in several}
    pairs = [(n, v) for n, values in several.items() for v in _list(values)]
    pairs += [(n, v) for n, v in _mapping(document, "headers").items() if n.lower() not in taken]
    pairs += [("Set-Cookie", cookie) for cookie in _list(document.get("cookies") or [])]
    for name, value in pairs:
        if value is None or name.lower() in HOP_BY_HOP:
            continue
        text = _text(value)
        if not name or any(mark in name + text for mark in "\r\n\0") or not _latin(name + text):
            raise MalformedError(f"header {name!r}")
        result.append(
            (f"x-amzn-remapped-{name.lower()}" if name.lower() in remapped else name, text)
        )
    return result


def _mapping(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key) or {}
    if not isinstance(value, dict):
        raise MalformedError(f"{key} is not an object")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedError("a list is due")
    return value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise MalformedError("a header value is not text")
    return str(value)


def _latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _content(document: Mapping[str, Any]) -> bytes:
    body = document.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedError("body is not a string")
    if document.get("isBase64Encoded") is not True:
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("body is not base64") from error
