"""The readers of what strangers send, and what must hold for any input: no other exception, no
disagreement with a second reader of the same thing."""

import json
import random
from collections.abc import Callable, Coroutine
from typing import Any, cast

import h11

from emulator.integration import MalformedError, read_streamed
from emulator.invocation import BrokenResponseError, Response
from functions._strict_http import _StrictConnection
from riverrun_client.sse import EventStreamParser as ClientParser
from services.access.keys import parse_keys, read_plain_keys
from services.access.signature import sign, verify
from services.errors import RiverrunError, SetupError
from services.json_input import DepthError, parse_json
from services.lambda_runtime import payload as payloads
from services.lambda_runtime import wire
from services.lambda_runtime.payload import PayloadError
from services.settings import Settings
from services.streaming.encoders import MODULES
from services.streaming.encoders.sse import FieldError, encode
from services.streaming.event_json import clean
from services.streaming.http.requests import parse_cursor, read_dialect_question, read_question
from services.streaming.http.url import check_url as refuse_url
from services.telemetry.lines import escape_line
from tests.event_stream import EventStreamParser
from tests.functions.test_http_readers import check_wire, make_wire
from tests.fuzz.documents import DOCUMENTS
from tests.fuzz.mutation import ODD, cut, make_object, make_text, make_value, mutate
from tests.services.lambda_runtime.test_payload import FIELDS, MINIMAL, url
from tests.services.streaming.http.test_requests import JSON, request

Target = Callable[[random.Random], None]

SETTINGS = Settings()
SECRETS = ("a secret of sixteen",)
ODD_BYTES = [text.encode("utf-8", "surrogatepass") for text in ODD]


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what waits for nothing to its end, without a loop."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    coroutine.close()
    raise AssertionError("it waits for something")


def refuse_or_do(call: Callable[[], Any]) -> Any:
    """What comes of a call that may refuse; an error of ours that says `internal` is a fault."""
    try:
        return call()
    except RiverrunError as error:
        if error.code == "internal":
            raise
        return error


def check_event_stream(chance: random.Random) -> None:
    """The client's parser and the tests' own read the same events of any bytes in any cuts."""
    lines = [b"data: a", b"data:", b"data", b": x", b"id: 1", b"id", b"event: e", b"retry: 5", b"",
             b"", b"da\xc3\xa9ta: b", b"\xef\xbb\xbfdata: c"]  # fmt: skip
    ends = [b"\n", b"\r", b"\r\n"]
    stream = b"".join(
        chance.choice(lines) + chance.choice(ends) for _ in range(chance.randrange(12))
    )
    stream = mutate(stream, [*lines, *ends, *ODD_BYTES], chance)
    ours, other = ClientParser(), EventStreamParser()
    found = [
        (frame.data, frame.event, frame.id)
        for part in cut(stream, chance)
        for frame in ours.feed(part)
    ]
    wanted = [(event.data, event.event, event.id) for event in other.feed(stream)]
    assert found == wanted, stream
    assert (ours.last_event_id, ours.retry) == (other.last_event_id, other.retry), stream


def check_encoding(chance: random.Random) -> None:
    """What is encoded is one event, and is read as it was written."""
    data, id_ = make_text(chance), make_text(chance, 3)
    try:
        block = encode(data, id=id_, event="e", retry=chance.choice((None, 3000)))
    except FieldError:
        assert set(id_) & set("\r\n\0") or clean(id_) != id_, id_
        return
    (event,) = EventStreamParser().feed(block)
    wanted = clean(data).replace("\r\n", "\n").replace("\r", "\n")
    assert (event.data, event.id, event.event) == (wanted, id_, "e"), (data, id_)


def check_payload(chance: random.Random) -> None:
    """An event of Lambda is a request or a payload error, and a scope is well formed."""
    base = chance.choice((url(), MINIMAL["rest"], MINIMAL["alb"]))
    payload = {**base, **make_object(FIELDS, chance)}
    if isinstance(payload.get("requestContext"), dict):
        payload["requestContext"] = {**payload["requestContext"], **make_object(FIELDS, chance)}
    try:
        _, scope, body = payloads.read(payload)
    except PayloadError:
        return
    assert isinstance(body, bytes)
    assert scope["raw_path"].isascii()
    assert scope["query_string"].isascii()
    for name, value in scope["headers"]:
        assert not set(name + value) & set(b"\r\n\0"), payload


def check_prelude(chance: random.Random) -> None:
    """A prelude that our runtime writes is one; one that was changed is read or is refused."""
    headers = {f"x-{n}": make_text(chance, 3) for n in range(chance.randrange(4))}
    try:
        prelude = wire.prelude(chance.randrange(200, 600), headers, [make_text(chance, 3)])
    except (wire.PreludeTooLargeError, ValueError):
        prelude = b"{}" + bytes(8)
    stream = mutate(prelude + b"body", [*ODD_BYTES, bytes(8), b'{"statusCode":', b'"a":'], chance)
    answer = _Answer(cut(stream, chance))
    try:
        drive(read_streamed(cast(Response, answer), strict=chance.random() < 0.5))
    except (MalformedError, BrokenResponseError):
        return


class _Answer:
    """What a function sent, for the emulator's front."""

    content_type = "application/vnd.awslambda.http-integration-response"

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = [part for part in parts if part]

    async def read(self) -> bytes:
        return self._parts.pop(0) if self._parts else b""

    async def read_all(self, _limit: int) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def check_cursor(chance: random.Random) -> None:
    """A cursor is written as it was read."""
    text = f"{chance.getrandbits(128):032x}-{chance.randrange(1, 10**6)}"
    text = mutate(text.encode(), ODD_BYTES, chance).decode("utf-8", "replace")
    cursor = refuse_or_do(lambda: parse_cursor(text))
    if not isinstance(cursor, RiverrunError):
        assert f"{cursor.run_id}-{cursor.seq}" == text


def check_token(chance: random.Random) -> None:
    """A token that was changed opens nothing; one that was not says what was signed."""
    said = {"said": make_text(chance), "at": chance.randrange(10**9)}
    said["said"] = str(said["said"]).encode("utf-8", "replace").decode()
    token = sign("k", said, SECRETS)
    changed = mutate(token.encode(), ODD_BYTES, chance).decode("utf-8", "replace")
    assert verify("k", changed, SECRETS) == (said if changed == token else None), token
    assert verify("other", token, SECRETS) is None


def check_keys(chance: random.Random) -> None:
    """A list of keys is read or refused."""
    text = make_text(chance, 20)
    try:
        parse_keys(text)
        read_plain_keys([text])
    except SetupError:
        return


NAMES = ["query", "streaming", "sessionId", "top_k", "topK", "include", "metadata", "resume"]


def make_body(names: list[str], chance: random.Random) -> bytes:
    """An object of JSON, now and then broken."""
    data = json.dumps(make_object(names, chance) | {"query": "hi"}).encode()
    return mutate(data, ODD_BYTES, chance) if chance.random() < 0.5 else data


def check_body(chance: random.Random) -> None:
    """A body is a question within its bounds, or is refused."""
    body = make_body(NAMES, chance)
    asked = request("POST", headers=(JSON,), body=cut(body, chance))
    question = refuse_or_do(lambda: drive(read_question(asked, SETTINGS)))
    if not isinstance(question, RiverrunError):
        assert 1 <= len(question.query) <= 8000
        assert "\0" not in question.query
        assert 1 <= question.top_k <= 20


def check_json(chance: random.Random) -> None:
    """Our bounded parser agrees with `json.loads` but for the depth."""
    text = json.dumps(make_value(chance))
    if chance.random() < 0.1:
        text = "[" * 190 + text + "]" * 190
    data = mutate(text.encode(), ODD_BYTES, chance)
    try:
        wanted = repr(json.loads(data))
    except (ValueError, RecursionError):
        wanted = "refused"
    try:
        found = repr(parse_json(data))
    except DepthError:
        return
    except ValueError:
        found = "refused"
    assert found == wanted, data


DIALECT_NAMES = [
    "query", "messages", "input", "model", "stream", "id", "threadId", "runId", "role", "content",
    "tools", "parts", "forwardedProps", "state", "context", "trigger",
]  # fmt: skip


def _make_dialect_check(dialect: str) -> Target:
    def check(chance: random.Random) -> None:
        body = make_body(DIALECT_NAMES, chance)
        asked = request("POST", headers=(JSON,), body=[body])
        refuse_or_do(lambda: drive(read_dialect_question(asked, dialect, SETTINGS)))

    return check


def check_url(chance: random.Random) -> None:
    """A query of a URL is a question or is refused."""
    pairs = "&".join(
        f"{chance.choice(NAMES)}={make_text(chance, 4)}" for _ in range(chance.randrange(5))
    )
    query = mutate(pairs.encode("utf-8", "replace"), ODD_BYTES, chance).decode("latin-1")
    target = "".join(c for c in f"/api/chat?{query}" if "!" <= c <= "~")
    refuse_or_do(lambda: refuse_url(request(target=target)))
    refuse_or_do(lambda: drive(read_question(request(target=target), SETTINGS)))


def check_http(chance: random.Random) -> None:
    """Our two readers of HTTP, h11 and llhttp take no bytes for different requests."""
    check_wire(make_wire(chance), _StrictConnection(h11.SERVER, 16 * 1024))


def check_log_line(chance: random.Random) -> None:
    """A line of a log is one line in every reading of what ends one, and clears no screen."""
    line = escape_line(make_text(chance, 20))
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line


TARGETS: dict[str, Target] = {
    "event-stream": check_event_stream,
    "sse-encoder": check_encoding,
    "payload": check_payload,
    "prelude": check_prelude,
    "cursor": check_cursor,
    "token": check_token,
    "keys": check_keys,
    "body": check_body,
    "json": check_json,
    "url": check_url,
    "http": check_http,
    "log-line": check_log_line,
    **{
        f"dialect-{name}": _make_dialect_check(name)
        for name, module in MODULES.items()
        if name not in ("native", "ndjson")
    },
    **{f"document-{name}": check for name, check in DOCUMENTS.items()},
}


def run_target(name: str, first: int, count: int) -> None:
    """Run so many seeds of a target from `first` on. An `AssertionError` says which failed."""
    for seed in range(first, first + count):
        try:
            TARGETS[name](random.Random(seed))
        except Exception as error:
            raise AssertionError(f"target {name}, seed {seed}") from error
