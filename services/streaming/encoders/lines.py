"""One entry is one line to any reader.

JSON lets three line ends of Unicode stand in a string as they are. They are none to a reader
that follows its standard, but many split text where `str.splitlines` does: so they are escaped.
"""

_ESCAPES = (
    ("\u0085".encode(), b"\\u0085"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def one_line(payload: bytes) -> bytes:
    """Return `payload`, a JSON document in UTF-8, meaning the same, as one line to any reader."""
    if payload.isascii():
        return payload
    for raw, escaped in _ESCAPES:
        payload = payload.replace(raw, escaped)
    return payload
