"""Requests that two readers of HTTP/1.1 could read in two ways, and plain ones that all read alike.

The kinds are those of the public reports on servers and proxies that disagreed (bodies announced
twice, lines ended otherwise, lengths that are no numbers, chunks that are not what they say).
Behind each of the first stands a request that must not be answered.
"""

NEXT = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"


def _with(header: bytes, body: bytes = b"", head: bytes = POST) -> bytes:
    return head + header + b"\r\n\r\n" + body


AMBIGUOUS: dict[str, bytes] = {
    # A body announced twice.
    "a length and chunks": _with(b"Content-Length: 5\r\nTransfer-Encoding: chunked", LAST),
    "chunks and a length": _with(b"Transfer-Encoding: chunked\r\nContent-Length: 5", LAST),
    "chunks and a length of nothing": _with(b"Content-Length: 0", LAST, CHUNKED),
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + LAST,
    "two lengths": _with(b"Content-Length: 5\r\nContent-Length: 6", b"hello"),
    "two lengths in one": _with(b"Content-Length: 5, 6", b"hello"),
    "two codings": _with(b"Transfer-Encoding: chunked", LAST, CHUNKED),
    "two codings, one unknown": _with(b"Transfer-Encoding: x", LAST, CHUNKED),
    "one length twice in one": _with(b"Content-Length: 5 ,5", b"hello"),
    # Lengths that are none.
    "a length with a sign": _with(b"Content-Length: +5", b"hello"),
    "a length below nothing": _with(b"Content-Length: -1", b""),
    "a length with an underscore": _with(b"Content-Length: 0_5", b"hello"),
    "a length in hexadecimal": _with(b"Content-Length: 0x5", b"hello"),
    "a length with a fraction": _with(b"Content-Length: 5.0", b"hello"),
    "a length in two words": _with(b"Content-Length: 5 5", b"hello"),
    "a length in other digits": _with("Content-Length: \u0665".encode(), b"hello"),
    "an empty length": _with(b"Content-Length:", b""),
    "a length of 30 digits": _with(b"Content-Length: " + b"1" * 30, b""),
    # Codings that are not `chunked`.
    "an unknown coding": _with(b"Transfer-Encoding: xchunked", LAST),
    "a coding in quotes": _with(b'Transfer-Encoding: "chunked"', LAST),
    "identity": _with(b"Transfer-Encoding: identity", LAST),
    "chunked before another": _with(b"Transfer-Encoding: chunked, gzip", LAST),
    "chunked behind another": _with(b"Transfer-Encoding: gzip, chunked", LAST),
    "chunked behind a comma": _with(b"Transfer-Encoding: , chunked", LAST),
    "an empty coding": _with(b"Transfer-Encoding:", LAST),
    "a coding behind a vertical tab": _with(b"Transfer-Encoding: \x0bchunked", LAST),
    "a tab behind a coding": _with(b"Transfer-Encoding: chunked\t", LAST),
    "a tab before a coding": _with(b"Transfer-Encoding:\tchunked", LAST),
    "a tab between blanks": _with(b"Transfer-Encoding: \t chunked", LAST),
    "a coding with NUL": _with(b"Transfer-Encoding: chunked\x00", LAST),
    # Names of headers that are none.
    "a blank before the colon": _with(b"Transfer-Encoding : chunked", LAST),
    "a tab before the colon": _with(b"Content-Length\t: 5", b"hello"),
    "a blank in a name": _with(b"X Y: z", b"", GET),
    "a blank before a name": _with(b" X: y", b"", GET),
    "NUL in a name": _with(b"X\x00: y", b"", GET),
    "a name of other letters": _with(b"Content-Length\xa0: 5", b"hello"),
    "no name": _with(b": y", b"", GET),
    "no colon": _with(b"Content-Length", b"", GET),
    # Lines that end otherwise.
    "bare LF everywhere": GET.replace(b"\r\n", b"\n") + b"\n",
    "bare LF after the first line": GET.replace(b"\r\n", b"\n", 1) + b"\r\n",
    "bare LF in a header": _with(b"X: y\nContent-Length: 5", b"hello"),
    "bare LF at the end of the head": POST + b"Content-Length: 5\r\n\nhello",
    "LF LF at the end of the head": POST + b"Content-Length: 5\n\nhello",
    "CR LF LF at the end of the head": POST + b"Content-Length: 5\r\n\n",
    "CR CR LF": _with(b"X: y\r", b"", GET),
    "bare CR in a header": _with(b"X: y\rContent-Length: 5", b"hello"),
    "bare CR in the first line": b"GET /\rx HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a folded header": _with(b"X: y\r\n folded", b"", GET),
    "a folded coding": _with(b"Transfer-Encoding:\r\n chunked", LAST),
    "a folded coding behind a tab": _with(b"Transfer-Encoding:\r\n\tchunked", LAST),
    "a folded length": _with(b"X: y\r\n Content-Length: 5", b"hello", GET),
    "NUL in a value": _with(b"X: a\x00b", b"", GET),
    # First lines.
    "no version": b"GET /\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a long version": b"GET / HTTP/1.10\r\nHost: localhost\r\n\r\n",
    "a version of other letters": b"GET / http/1.1\r\nHost: localhost\r\n\r\n",
    "a blank in the target": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two blanks in the first line": b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tab in the first line": b"GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method of other letters": b"G\xcbT / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    # Hosts.
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": _with(b"Host: elsewhere", b"", GET),
    # Chunks that are not what they say.
    "a chunk without a size": _with(b"X: y", b"\r\n" + LAST, CHUNKED),
    "a chunk size with a sign": _with(b"X: y", b"+5\r\nhello\r\n" + LAST, CHUNKED),
    "a chunk size with 0x": _with(b"X: y", b"0x5\r\nhello\r\n" + LAST, CHUNKED),
    "a chunk size with an underscore": _with(b"X: y", b"0_5\r\nhello\r\n" + LAST, CHUNKED),
    "a chunk size with a blank before": _with(b"X: y", b" 5\r\nhello\r\n" + LAST, CHUNKED),
    "a chunk size that overflows": _with(b"X: y", b"1" + b"0" * 16 + b"\r\n" + LAST, CHUNKED),
    "a chunk size of 40 digits": _with(b"X: y", b"f" * 40 + b"\r\n" + LAST, CHUNKED),
    "bare LF after a chunk size": _with(b"X: y", b"5\nhello\r\n" + LAST, CHUNKED),
    "bare CR after a chunk size": _with(b"X: y", b"5\rhello\r\n" + LAST, CHUNKED),
    "LF in a chunk's extension": _with(b"X: y", b"5;\n\r\nhello\r\n" + LAST, CHUNKED),
    "CR in a chunk's extension": _with(b"X: y", b"5;a\rb\r\nhello\r\n" + LAST, CHUNKED),
    "NUL in a chunk's extension": _with(b"X: y", b"5;\x00\r\nhello\r\n" + LAST, CHUNKED),
    "a control in a chunk's extension": _with(b"X: y", b"5;\x7f\r\nhello\r\n" + LAST, CHUNKED),
    "a blank before a chunk's extension": _with(b"X: y", b"5 ;a\r\nhello\r\n" + LAST, CHUNKED),
    "a tab before a chunk's extension": _with(b"X: y", b"5\t;a\r\nhello\r\n" + LAST, CHUNKED),
    "a blank after a chunk size": _with(b"X: y", b"5 \r\nhello\r\n" + LAST, CHUNKED),
    "bare LF after a chunk": _with(b"X: y", b"5\r\nhello\n" + LAST, CHUNKED),
    "a chunk longer than its size": _with(b"X: y", b"5\r\nhello!\r\n" + LAST, CHUNKED),
    "a chunk ended by two other bytes": _with(b"X: y", b"5\r\nhelloXX" + LAST, CHUNKED),
    "bare LF after the last size": _with(b"X: y", b"0\n\r\n", CHUNKED),
    "bare LF at the end of the body": _with(b"X: y", b"0\r\n\n", CHUNKED),
    "bare LF in a trailer": _with(b"X: y", b"0\r\nA: b\nC: d\r\n\r\n", CHUNKED),
    "LF LF after a trailer": _with(b"X: y", b"0\r\nA: b\n\n", CHUNKED),
    "a folded trailer": _with(b"X: y", b"0\r\nA: b\r\n c\r\n\r\n", CHUNKED),
    "NUL in a trailer": _with(b"X: y", b"0\r\nA: b\x00\r\n\r\n", CHUNKED),
    "bare CR in a trailer": _with(b"X: y", b"0\r\nA: b\rC\r\n\r\n", CHUNKED),
    "a blank before a trailer's colon": _with(b"X: y", b"0\r\nA : b\r\n\r\n", CHUNKED),
    "a trailer without a colon": _with(b"X: y", b"0\r\nGET / HTTP/1.1\r\n\r\n", CHUNKED),
    "a control in a trailer": _with(b"X: y", b"0\r\nA: b\x0b\r\n\r\n", CHUNKED),
    "a length in a trailer": _with(b"X: y", b"0\r\nContent-Length: 5\r\n\r\n", CHUNKED),
    "a coding in a trailer": _with(b"X: y", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED),
    # No HTTP.
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "nonsense": b"nonsense\r\n\r\n",
}

# With what each says: the bodies, in order, on one connection.
PLAIN: dict[str, tuple[bytes, list[bytes]]] = {
    "no body": (GET + b"\r\n", [b""]),
    "a length": (_with(b"Content-Length: 5", b"hello"), [b"hello"]),
    "the same length twice": (
        _with(b"Content-Length: 5\r\nContent-Length: 5", b"hello"),
        [b"hello"],
    ),
    "chunks": (_with(b"X: y", b"2\r\nhe\r\n3\r\nllo\r\n" + LAST, CHUNKED), [b"hello"]),
    "a chunk's extension": (_with(b"X: y", b"5;a=b\r\nhello\r\n" + LAST, CHUNKED), [b"hello"]),
    "trailers": (_with(b"X: y", b"5\r\nhello\r\n0\r\nA: b\r\n\r\n", CHUNKED), [b"hello"]),
    "CHUNKED": (_with(b"TRANSFER-ENCODING: Chunked", b"1\r\n!\r\n" + LAST), [b"!"]),
    "lines within a body": (
        _with(b"Content-Length: 8", b"\n\r\x00\r\n\r\n "),
        [b"\n\r\x00\r\n\r\n "],
    ),
    "lines within a chunk": (_with(b"X: y", b"3\r\n\n\r\x00\r\n" + LAST, CHUNKED), [b"\n\r\x00"]),
    "no blank after the colon": (_with(b"Content-Length:5", b"hello"), [b"hello"]),
    "blanks around a value": (_with(b"Content-Length: \t5 ", b"hello"), [b"hello"]),
    "other letters in a value": (_with(b"X: caf\xe9", b"", GET), [b""]),
    "two behind each other": (_with(b"Content-Length: 1", b"a") * 2, [b"a", b"a"]),
    "chunks behind a length": (
        _with(b"Content-Length: 1", b"a") + _with(b"X: y", b"1\r\nb\r\n" + LAST, CHUNKED),
        [b"a", b"b"],
    ),
}
