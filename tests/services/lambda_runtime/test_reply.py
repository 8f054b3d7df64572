"""Reading the Runtime API's answers: one table, run whole, byte by byte and with more behind."""

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.lambda_runtime.reply import ProtocolError, Reply, ReplyReader

OK = b"HTTP/1.1 200 OK\r\n"

CASES: dict[str, tuple[bytes, Reply]] = {
    "a length": (
        OK + b"Content-Length: 2\r\n\r\nhi",
        Reply(200, {"content-length": "2"}, b"hi", reusable=True),
    ),
    "no body": (
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        Reply(202, {"content-length": "0"}, b"", reusable=True),
    ),
    "no reason": (
        b"HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n",
        Reply(202, {"content-length": "0"}, b"", reusable=True),
    ),
    "names in any case, values trimmed": (
        OK + b"X-ABC:\t a b \t\r\nCONTENT-length:1\r\n\r\nx",
        Reply(200, {"x-abc": "a b", "content-length": "1"}, b"x", reusable=True),
    ),
    "the same length twice": (
        OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        Reply(200, {"content-length": "1"}, b"x", reusable=True),
    ),
    "latin-1 in a value": (
        OK + b"X: \xe9\r\nContent-Length: 0\r\n\r\n",
        Reply(200, {"x": "é", "content-length": "0"}, b"", reusable=True),
    ),
    "an empty value": (
        OK + b"Lambda-Runtime-Client-Context:\r\nContent-Length: 0\r\n\r\n",
        Reply(
            200,
            {"lambda-runtime-client-context": "", "content-length": "0"},
            b"",
            reusable=True,
        ),
    ),
    "chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        Reply(200, {"transfer-encoding": "chunked"}, b"hi0123456789", reusable=True),
    ),
    "chunks with trailers": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n",
        Reply(200, {"transfer-encoding": "chunked"}, b"x", reusable=True),
    ),
    "closing": (
        OK + b"Connection: x, Close\r\nContent-Length: 1\r\n\r\nx",
        Reply(200, {"connection": "x, Close", "content-length": "1"}, b"x", reusable=False),
    ),
    "HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        Reply(200, {"content-length": "1"}, b"x", reusable=False),
    ),
    "after a 100": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx",
        Reply(200, {"content-length": "1"}, b"x", reusable=True),
    ),
    "204 has no body": (
        b"HTTP/1.1 204 No Content\r\n\r\n",
        Reply(204, {}, b"", reusable=True),
    ),
}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 4096])
@pytest.mark.parametrize("name", CASES)
def test_an_answer_is_read_in_any_slices(name: str, step: int) -> None:
    """The same reply, and only with the last byte."""
    data, expected = CASES[name]
    reader, reply = ReplyReader(), None
    for at in range(0, len(data), step):
        reply = reader.feed(data[at : at + step])
        assert (reply is not None) == (at + step >= len(data))
    assert reply == expected
    assert not reader.has_started


@pytest.mark.parametrize("name", CASES)
def test_unasked_bytes_behind_an_answer_end_the_connection(name: str) -> None:
    """No second request was sent, so the connection cannot be trusted with one."""
    data, expected = CASES[name]
    reply = ReplyReader().feed(data + b"HTTP/1.1 200")
    assert reply is not None
    assert (reply.status, reply.body) == (expected.status, expected.body)
    assert not reply.reusable


def test_a_body_may_end_with_the_connection() -> None:
    """Neither length nor chunks: RFC 9112 section 6.3, the last case."""
    reader = ReplyReader()
    assert reader.feed(OK + b"\r\nhel") is None
    assert reader.feed(b"lo") is None
    assert reader.end() == Reply(200, {}, b"hello", reusable=False)


REFUSED = {
    "not HTTP": b"hello\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a space before the colon": OK + b"A : b\r\n\r\n",
    "a folded header": OK + b"A: b\r\n c\r\n\r\n",
    "a bare line feed": OK + b"A: b\nC: d\r\n\r\n",
    "a NUL": OK + b"A: \0\r\n\r\n",
    "a nameless header": OK + b": b\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "a signed length": OK + b"Content-Length: +1\r\n\r\n",
    "an underscored length": OK + b"Content-Length: 1_0\r\n\r\n",
    "a length of letters": OK + "Content-Length: ²\r\n\r\n".encode("latin-1"),
    "a listed length": OK + b"Content-Length: 1, 1\r\n\r\n",
    "length and chunks": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "gzip coding": OK + b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "a signed chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n",
    "an 0x chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
    "an empty chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n\r\nx\r\n",
    "a chunk longer than said": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
    "a trailer that is none": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nxy\r\n\r\n",
    "an endless head": OK + b"A: " + b"b" * 70_000,
    "an endless chunk line": OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"b" * 70_000,
    "a body without end": OK + b"Content-Length: 99999999999\r\n\r\n",
}


@pytest.mark.parametrize("step", [1, 100_000])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_ambiguous_is_refused(name: str, step: int) -> None:
    """A guess about where an answer ends would mix two invocations."""
    data, reader = REFUSED[name], ReplyReader()
    with pytest.raises(ProtocolError):
        # What has no end comes in handfuls: seventy thousand single bytes say no more.
        feed_all(reader, data, max(step, len(data) // 2_000))


def feed_all(reader: ReplyReader, data: bytes, step: int) -> None:
    for at in range(0, len(data), step):
        reader.feed(data[at : at + step])


@pytest.mark.parametrize("name", CASES)
def test_a_cut_answer_is_no_answer(name: str) -> None:
    """Cut at every byte: an error, never a shorter reply."""
    data, _ = CASES[name]
    for cut in range(1, len(data)):
        reader = ReplyReader()
        assert reader.feed(data[:cut]) is None
        if reader.has_started:
            with pytest.raises(ProtocolError):
                reader.end()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    status=st.sampled_from([200, 202, 400, 403, 410, 413, 500]),
    bodies=st.lists(st.binary(max_size=300), max_size=5),
    chunked=st.booleans(),
    step=st.integers(1, 500),
)
def test_it_reads_what_h11_writes(
    status: int, bodies: list[bytes], chunked: bool, step: int
) -> None:
    """The reader agrees with h11 about every response h11 can write."""
    http = h11.Connection(h11.SERVER)
    http.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    http.next_event()
    framing = (
        ("Transfer-Encoding", "chunked")
        if chunked
        else ("Content-Length", str(sum(map(len, bodies))))
    )
    data = http.send(h11.Response(status_code=status, headers=[framing])) or b""
    for body in bodies:
        data += http.send(h11.Data(data=body)) or b""
    data += http.send(h11.EndOfMessage()) or b""
    reader, replies = ReplyReader(), []
    for at in range(0, len(data), step):
        reply = reader.feed(data[at : at + step])
        if reply is not None:
            replies.append(reply)
    assert [(reply.status, reply.body) for reply in replies] == [(status, b"".join(bodies))]
