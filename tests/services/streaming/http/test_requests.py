"""What a request must look like before it becomes a run: section 2 of the contract, row by row."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from services.errors import RiverrunError
from services.settings import Settings, read_settings
from services.streaming.http.body import BODY_LIMIT, RequestError, parse_object
from services.streaming.http.requests import (
    Cursor,
    make_fingerprint,
    parse_cursor,
    read_after,
    read_cursor,
    read_dialect,
    read_question,
    read_reader,
    seconds_left,
)
from services.streaming.question import Question
from tests.functions.asgi import Exchange, HeaderLines, scope_of

JSON = ("Content-Type", "application/json")
RUN = "0123456789abcdef" * 2


def request(
    method: str = "GET",
    target: str = "/api/chat",
    headers: HeaderLines = (),
    body: Iterable[bytes] = (),
) -> Request:
    return Request(scope_of(method, target, headers), Exchange(body).receive)


async def post(body: bytes | list[bytes], *headers: tuple[str, str]) -> Question:
    chunks = body if isinstance(body, list) else [body]
    return await read_question(request("POST", headers=(JSON, *headers), body=chunks), Settings())


async def got(query: str, *headers: tuple[str, str]) -> Question:
    return await read_question(request(target=f"/api/chat?{query}", headers=headers), Settings())


async def code_of(attempt: Any) -> str:
    with pytest.raises(RiverrunError) as caught:
        await attempt
    return caught.value.code


@pytest.mark.anyio
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=latin-1",
        " application/json ;x=y",
        "application/merge-patch+json",
    ],
)
async def test_json_by_any_of_its_names_is_read(content_type: str) -> None:
    """A charset is accepted and means nothing: JSON is UTF-8."""
    asked = request("POST", headers={"Content-Type": content_type}, body=[b'{"query":"\xc3\xa9"}'])
    assert (await read_question(asked, Settings())).query == "é"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "text/plain;application/json"},
        {"Content-Type": "text/json"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_anything_that_is_not_json_is_415(headers: dict[str, str]) -> None:
    """A form on another site can send the first few without asking."""
    asked = request("POST", headers=headers, body=[b'{"query":"x"}'])
    assert await code_of(read_question(asked, Settings())) == "unsupported_media"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b" ", "invalid_json"),
        (b"{", "invalid_json"),
        (b"query=x", "invalid_json"),
        (b"{'query': 'x'}", "invalid_json"),
        (b'{"query":"x"} {}', "invalid_json"),
        (b'{"query":"x",}', "invalid_json"),
        (b'{"query":"\xff"}', "invalid_json"),
        (b'{"query":"\xed\xa0\x80"}', "invalid_json"),
        (b'{"query":"\xc0\xaf"}', "invalid_json"),
        ('{"query":"x"}'.encode("utf-16"), "invalid_json"),
        ('{"query":"x"}'.encode("utf-16-le"), "invalid_json"),
        (b'\xef\xbb\xbf{"query":"x"}', "invalid_json"),
        (b'{"query":"x","n":NaN}', "invalid_json"),
        (b'{"query":"x","n":-Infinity}', "invalid_json"),
        (b'{"query":"a","query":"b"}', "invalid_json"),
        (b'{"query":"a","metadata":{"k":"1","k":"2"}}', "invalid_json"),
        (b'{"query":"a\nb"}', "invalid_json"),
        (b"[" * 60_000, "invalid_json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "invalid_json"),
        (b'{"query":"x","n":' + b"9" * 50_000 + b"}", "invalid_json"),
        (b"[]", "invalid_request"),
        (b'[{"query":"x"}]', "invalid_request"),
        (b'"query"', "invalid_request"),
        (b"null", "invalid_request"),
        (b"true", "invalid_request"),
        (b"7", "invalid_request"),
        (b"{}", "validation_error"),
        (b'{"Query":"x"}', "validation_error"),
        (b'{"query":null}', "validation_error"),
        (b'{"query":"\\ud800"}', "validation_error"),
        (b'{"query":"\\u0000"}', "validation_error"),
    ],
)
async def test_a_body_that_is_not_a_question_is_refused(body: bytes, code: str) -> None:
    """400 for what cannot be read, 422 for what was read and is not acceptable."""
    assert await code_of(post(body)) == code


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"query":"x"\n1}', "The body is not JSON (line 2, column 1)."),
        (b'{"query":"\xff"}', "The body is not UTF-8 (byte 11)."),
        (b'{"query":"a","query":"b"}', "The body has a name twice in one object (query)."),
        (b'{"m":{"k":1,"j":2,"k":3}}', "The body has a name twice in one object (k)."),
        (b'{"a b":1,"a b":2}', "The body has a name twice in one object."),
        (b'{"n":NaN}', "The body has NaN, which JSON does not know."),
        (b"[" * 201, "The body is nested more than 200 levels deep."),
        (b'{"n":%b}' % (b"9" * 5000), "The body has a number that is too long."),
    ],
    ids=["cut", "bytes", "twice", "twice within", "twice, text", "NaN", "deep", "digits"],
)
def test_a_body_that_is_no_strict_json_is_told_what_is_wrong(body: bytes, said: str) -> None:
    """What its sender can mend, and no text of a person."""
    with pytest.raises(RequestError) as caught:
        parse_object(body)
    assert (caught.value.code, str(caught.value)) == ("invalid_json", said)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_object_or_a_refusal(body: bytes) -> None:
    """No body of a stranger ends in anything else."""
    try:
        data = parse_object(body)
    except RequestError:
        return
    assert isinstance(data, dict)


def body_of_size(size: int) -> bytes:
    frame = b'{"query":"x","pad":""}'
    return frame[:-2] + b"x" * (size - len(frame)) + frame[-2:]


@pytest.mark.anyio
async def test_a_body_of_exactly_the_limit_is_read() -> None:
    """64 KiB and not a byte less."""
    whole = body_of_size(BODY_LIMIT)
    length = ("Content-Length", str(BODY_LIMIT))
    assert (await post(whole, length)).query == "x"
    assert (await post([whole[:1000], b"", whole[1000:]])).query == "x"


@pytest.mark.anyio
async def test_a_body_over_the_limit_is_refused_however_it_comes() -> None:
    """Declared, in chunks, or with a Content-Length that lies."""
    whole = body_of_size(BODY_LIMIT + 1)
    assert await code_of(post(whole)) == "payload_too_large"
    assert await code_of(post([whole[:40_000], whole[40_000:]])) == "payload_too_large"
    assert await code_of(post(whole, ("Content-Length", "5"))) == "payload_too_large"
    assert await code_of(post(b"{}", ("Content-Length", "65537"))) == "payload_too_large"
    assert await code_of(post(b"{}", ("Content-Length", "9" * 5000))) == "payload_too_large"


@pytest.mark.anyio
@pytest.mark.parametrize("length", ["", "-1", "x", "²", "1e9", "0"])
async def test_a_content_length_that_is_none_is_not_believed(length: str) -> None:
    """Hosts differ in what they let through; the bytes are counted anyway."""
    assert (await post(b'{"query":"x"}', ("Content-Length", length))).query == "x"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("query=x", Question(query="x", streaming=False)),
        ("query=x&streaming=true", Question(query="x", streaming=True)),
        ("query=x&streaming=1", Question(query="x", streaming=True)),
        ("query=x&streaming=false", Question(query="x", streaming=False)),
        ("query=x&streaming=0", Question(query="x", streaming=False)),
        ("query=a+b%20c%2Bd", Question(query="a b c+d", streaming=False)),
        ("query=%F0%9F%97%BC", Question(query="\U0001f5fc", streaming=False)),
        ("query=a%0Ab%26c%3D", Question(query="a\nb&c=", streaming=False)),
        ("query=%252F", Question(query="%2F", streaming=False)),
        ("query=100%", Question(query="100%", streaming=False)),
        ("query=x;y", Question(query="x;y", streaming=False)),
        ("query=x&top_k=7", Question(query="x", top_k=7, streaming=False)),
        ("query=x&topK=07", Question(query="x", top_k=7, streaming=False)),
        ("query=x&sessionId=", Question(query="x", session_id="", streaming=False)),
        ("query=x&include=", Question(query="x", include=frozenset(), streaming=False)),
        ("query=x&include=tokens,%20usage",
         Question(query="x", include=frozenset({"tokens", "usage"}), streaming=False)),
        ("query=x&include=tokens&include=usage",
         Question(query="x", include=frozenset({"tokens", "usage"}), streaming=False)),
        ("query=x&metadata=%7B%22a%22%3A%22b%22%7D",
         Question(query="x", metadata={"a": "b"}, streaming=False)),
        ("query=x&metadata=", Question(query="x", streaming=False)),
        ("query=x&utm_source=y&=z&&", Question(query="x", streaming=False)),
    ],
)  # fmt: skip
async def test_a_url_says_what_a_body_says(query: str, expected: Question) -> None:
    """The same names, spelled as a URL can."""
    question = await got(query)
    assert question.seconds_left == Settings().deadline
    assert make_fingerprint(question) == make_fingerprint(expected)
    assert question.streaming == expected.streaming


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "validation_error"),
        ("query=", "validation_error"),
        ("query=%20", "validation_error"),
        ("query=%00", "validation_error"),
        ("Query=x", "validation_error"),
        ("query=x&streaming=yes", "validation_error"),
        ("query=x&streaming=True", "validation_error"),
        ("query=x&streaming=", "validation_error"),
        ("query=x&top_k=0", "validation_error"),
        ("query=x&top_k=21", "validation_error"),
        ("query=x&top_k=5.0", "validation_error"),
        ("query=x&top_k=+5", "validation_error"),
        ("query=x&top_k=%D9%A5", "validation_error"),
        ("query=x&top_k=", "validation_error"),
        ("query=x&top_k=" + "9" * 5000, "validation_error"),
        ("query=x&include=everything", "validation_error"),
        ("query=x&metadata=a", "validation_error"),
        ("query=x&metadata=%5B%5D", "validation_error"),
        ("query=x&metadata=" + "%5B" * 2000, "validation_error"),
        ("query=x&metadata=%7B%22a%22%3A1%7D", "validation_error"),
        ("query=%FF", "invalid_request"),
        ("query=%ED%A0%80", "invalid_request"),
        ("query=x&other=%C0%AF", "invalid_request"),
    ],
)
async def test_a_url_is_refused_as_a_body_is(query: str, code: str) -> None:
    """Nothing is guessed: a flag is true, false, 1 or 0."""
    assert await code_of(got(query)) == code


NEGOTIATION = [
    # Accept, what the request says, whether it streams and in which dialect
    (None, None, False, "native"),
    (None, False, False, "native"),
    (None, True, True, "native"),
    ("*/*", None, False, "native"),
    ("*/*", True, True, "native"),
    ("text/*", None, False, "native"),
    ("text/*", True, True, "native"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", None, False, "native"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", True, True, "native"),
    ("application/json, text/plain, */*", True, True, "native"),
    ("application/json", None, False, "native"),
    ("application/json", False, False, "native"),
    ("application/json", True, None, "not_acceptable"),
    ("application/*", True, None, "not_acceptable"),
    ("text/html", True, None, "not_acceptable"),
    ("*/*;q=0", True, None, "not_acceptable"),
    ("text/event-stream;q=0", True, None, "not_acceptable"),
    ("text/event-stream;q=0, */*", True, None, "not_acceptable"),
    ("text/event-stream;q=0", None, False, "native"),
    ("text/event-stream", None, True, "native"),
    ("text/event-stream", True, True, "native"),
    ("text/event-stream", False, False, "native"),
    ("TEXT/EVENT-STREAM", None, True, "native"),
    ("text/event-stream;charset=utf-8", None, True, "native"),
    ("text/event-stream, application/json", None, True, "native"),
    ("application/json, text/event-stream;q=0.5", None, False, "native"),
    ("application/json, text/event-stream;q=0.5", True, True, "native"),
    ("application/x-ndjson", None, True, "ndjson"),
    ("application/x-ndjson", True, True, "ndjson"),
    ("application/x-ndjson", False, False, "native"),
    ("application/x-ndjson, text/event-stream", True, True, "native"),
    ("application/x-ndjson, text/event-stream;q=0.9", True, True, "ndjson"),
    ("application/x-ndjson;q=0, text/event-stream", None, True, "native"),
    ("application/x-ndjson;q=0", True, None, "not_acceptable"),
    ("nonsense", True, None, "not_acceptable"),
    ("nonsense", None, False, "native"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("accept", "streaming", "streams", "dialect"), NEGOTIATION)
async def test_the_body_decides_and_accept_decides_the_rest(
    accept: str | None, streaming: bool | None, streams: bool | None, dialect: str
) -> None:
    """`streaming` wins; where it is absent, naming a stream's type asks for one."""
    data = {"query": "x"} | ({} if streaming is None else {"streaming": streaming})
    body = json.dumps(data).encode()
    headers = () if accept is None else (("Accept", accept),)
    if streams is None:
        assert await code_of(post(body, *headers)) == dialect
    else:
        question = await post(body, *headers)
        assert (question.streaming, question.dialect) == (streams, dialect)


@pytest.mark.anyio
async def test_accept_over_several_lines_is_one_list() -> None:
    """RFC 9110, section 5.3: lines of one name are joined."""
    split = (("Accept", "application/json"), ("Accept", "text/event-stream"))
    assert (await post(b'{"query":"x"}', *split)).streaming is True


def test_a_reader_of_a_run_gets_the_dialect_it_names() -> None:
    """And Server-Sent Events when it names none."""
    for accept, dialect in [("", "native"), ("*/*", "native"), ("application/x-ndjson", "ndjson")]:
        assert read_dialect(request(headers={"Accept": accept})) == dialect


@pytest.mark.parametrize(
    "text",
    [
        f"{RUN}-0",
        f"{RUN}-1",
        f"{RUN}-999999999",
    ],
)
def test_a_cursor_of_ours_is_read_back(text: str) -> None:
    """From the header as from the query."""
    expected = Cursor(RUN, int(text.rpartition("-")[2]))
    assert parse_cursor(text) == expected
    assert read_cursor(request(headers={"Last-Event-ID": text})) == expected
    assert read_cursor(request(target=f"/api/chat?lastEventId={text}")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "7",
        RUN,
        f"{RUN}-",
        f"{RUN}-01",
        f"{RUN}--1",
        f"{RUN}-+1",
        f"{RUN}-1 ",
        f"{RUN}-1\n",
        f"{RUN}-1x",
        f"{RUN}-٣",
        f"{RUN}-1000000000",
        f"{RUN[:-1]}-1",
        f"{RUN.upper()}-1",
        f"../{RUN}-1",
        "null",
        "undefined",
        "x" * 100_000,
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(text: str) -> None:
    """It never means: start again."""
    with pytest.raises(RequestError) as caught:
        parse_cursor(text)
    assert caught.value.code == "invalid_request"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
        {"Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Dest": "script", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_what_a_browser_asks_for_by_itself_is_no_question(headers: dict[str, str]) -> None:
    """Nor what a page asks for as a part of itself."""
    assert await code_of(got("query=x", *headers.items())) == "forbidden"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_what_a_person_or_a_client_asks_is_a_question(headers: dict[str, str]) -> None:
    """An EventSource, a fetch, a URL that is opened, curl."""
    assert (await got("query=x", *headers.items())).query == "x"


def test_no_cursor_is_no_cursor() -> None:
    """A browser sends the header only when it has an id."""
    assert read_cursor(request()) is None


@pytest.mark.parametrize(
    ("headers", "target"),
    [({"Last-Event-ID": ""}, "/api/chat"), ({}, "/api/chat?lastEventId=")],
)
def test_an_empty_cursor_is_refused(headers: dict[str, str], target: str) -> None:
    """A client that means to read on would start a run, and pay for it, instead."""
    with pytest.raises(RequestError):
        read_cursor(request(target=target, headers=headers))


@pytest.mark.parametrize(
    ("query", "after"), [("", 0), ("after=", 0), ("after=0", 0), ("after=12", 12)]
)
def test_after_is_a_sequence_number(query: str, after: int) -> None:
    """Absent, it is the beginning."""
    assert read_after(request(target=f"/?{query}")) == after


@pytest.mark.parametrize(
    "text", ["-1", "1.0", "x", "%D9%A5", "%C2%B2", "9" * 10, "+1", "1e3", "%201"]
)
def test_after_is_nothing_else(text: str) -> None:
    """No sign, no fraction, no other script's digits."""
    with pytest.raises(RequestError):
        read_after(request(target=f"/?after={text}"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "key", ["k", "a b", "x" * 128, "550e8400-e29b-41d4-a716-446655440000", "~!{}"]
)
async def test_an_idempotency_key_is_printable_ascii(key: str) -> None:
    """Up to 128 characters."""
    assert (await post(b'{"query":"x"}', ("Idempotency-Key", key))).idempotency_key == key


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["", " ", " k", "x" * 129, "é", "a\tb", "a\x7f", "\x00"])
async def test_any_other_idempotency_key_is_refused(key: str) -> None:
    """A key that is cut or changed on its way would join a stranger's run."""
    assert await code_of(post(b'{"query":"x"}', ("Idempotency-Key", key))) == "invalid_request"


def test_the_same_question_has_the_same_fingerprint() -> None:
    """However it was written; how it is read does not matter."""
    one = Question(query="x", metadata={"a": "1", "b": "2"}, streaming=True)
    same = Question(query="x", metadata={"b": "2", "a": "1"}, streaming=False, dialect="ndjson")
    assert make_fingerprint(one) == make_fingerprint(same)


@pytest.mark.parametrize(
    "other",
    [
        Question(query="y"),
        Question(query="x", top_k=6),
        Question(query="x", session_id=""),
        Question(query="x", include=frozenset()),
        Question(query="x", metadata={"a": "b"}),
    ],
)
def test_another_question_has_another_fingerprint(other: Question) -> None:
    """Whatever changes the answer changes it."""
    assert make_fingerprint(other) != make_fingerprint(Question(query="x"))


def test_the_platforms_word_is_the_deadline_when_it_is_sooner() -> None:
    """Lambda says how long an invocation has left."""

    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 12_000

    asked = request()
    assert seconds_left(asked, Settings(deadline=60)) == 60
    asked.scope["aws.context"] = Context()
    assert seconds_left(asked, Settings(deadline=60)) == 12
    assert seconds_left(asked, Settings(deadline=5)) == 5


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "said"),
    [("", False), ("&resume=1", True), ("&resume=true", True), ("&resume=0", False)],
)
async def test_who_comes_back_says_so(query: str, said: bool) -> None:
    """In the URL or in the body, in the words of the other booleans."""
    assert (await got(f"query=x{query}")).resume is said
    assert (await got(f"query=x{query}")).reader.resume is said
    assert (await post(b'{"query": "x", "resume": %s}' % str(said).lower().encode())).resume is said
    asked = request(target=f"/api/chat?lastEventId={RUN}-1{query}")
    assert (await read_reader(asked, Settings())).resume is said


@pytest.mark.anyio
@pytest.mark.parametrize("value", [b'"1"', b"1", b'"true"', b"[]"])
async def test_what_is_no_boolean_is_refused_in_a_question(value: bytes) -> None:
    """As for `streaming`."""
    assert await code_of(post(b'{"query": "x", "resume": %s}' % value)) == "validation_error"
    assert await code_of(got("query=x&resume=yes")) == "validation_error"
    assert await code_of(read_reader(request(target="/api/chat?resume=yes"), Settings())) == (
        "invalid_request"
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"query": "x", "resume": true}', True),
        (b'{"query": "x", "resume": 1}', False),
        (b'{"query": "x"}', False),
        (b"not JSON", False),
        (b"", False),
    ],
)
async def test_a_client_that_repeats_its_post_to_read_on_is_understood(
    body: bytes, said: bool
) -> None:
    """`fetch-event-source` posts the same body again; only a clear yes counts."""
    asked = request("POST", headers=(JSON, ("Last-Event-ID", f"{RUN}-1")), body=[body])
    assert (await read_reader(asked, Settings())).resume is said


def test_resume_is_no_part_of_a_question() -> None:
    """The same question with and without it has one key."""
    assert make_fingerprint(Question(query="x")) == make_fingerprint(
        Question(query="x", resume=True, so_far="y", response_seconds_left=1.0)
    )


class Lambda:
    """A function with a quarter of an hour left."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds."""
        return 900_000


@pytest.mark.parametrize(
    ("context", "left"),
    [
        (
            {"routeKey": "$default", "stage": "$default", "domainName": "x.lambda-url.eu.on.aws"},
            900,
        ),
        ({"routeKey": "ANY /api/chat", "stage": "$default", "domainName": "example.com"}, 30),
        ({"routeKey": "$default", "stage": "$default", "domainName": "x.execute-api.eu.aws"}, 30),
        ({"routeKey": "$default", "stage": "live", "domainName": "example.com"}, 30),
        ({"routeKey": "$default", "stage": "$default", "domainName": "example.com"}, 30),
        ("not an object", 900),
    ],
)
def test_behind_an_http_api_there_are_thirty_seconds(context: Any, left: float) -> None:
    """It sends nothing before its function has answered, and waits no longer."""
    asked = request()
    asked.scope["aws.context"] = Lambda()
    asked.scope["aws.event"] = {"version": "2.0", "requestContext": context}
    assert seconds_left(asked, Settings()) == left
    asked.scope["aws.event"] = {"requestContext": context}  # a REST API's names no version
    assert seconds_left(asked, Settings()) == 900


@pytest.mark.anyio
async def test_what_stands_in_front_may_have_a_cap() -> None:
    """Of every reader, whether they ask or read on."""
    settings = read_settings({"RIVERRUN_RESPONSE_SECONDS": "26"})
    assert settings.response_seconds == 26.0
    assert read_settings({}).response_seconds is None
    assert (
        await read_question(request(target="/api/chat?query=x"), settings)
    ).response_seconds_left == 26.0
    assert (await read_reader(request(), settings)).response_seconds_left == 26.0
