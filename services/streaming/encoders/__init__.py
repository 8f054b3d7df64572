"""Dialects: the entries of a run as the bytes that one family of clients understands.

A dialect is a content type, an encoder and what it says in silence. Encoders are
deterministic: the same log gives the same bytes, whoever reads and whenever.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from ...runs import Entry
from . import native, ndjson

Encoder = Callable[[Entry], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one family of clients is spoken to.

    `encoder` takes a run id and gives the function that frames the run's entries. `silence` is
    sent when nothing was said for a while; it is no event to any client of the dialect.
    """

    content_type: str
    encoder: Callable[[str], Encoder]
    silence: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


DIALECTS: dict[str, Dialect] = {
    "native": Dialect(
        content_type=native.CONTENT_TYPE, encoder=native.encoder, silence=native.SILENCE
    ),
    "ndjson": Dialect(
        content_type=ndjson.CONTENT_TYPE, encoder=ndjson.encoder, silence=ndjson.SILENCE
    ),
}


async def frames(
    entries: AsyncGenerator[Entry | None, None], dialect: Dialect, run_id: str
) -> AsyncGenerator[bytes, None]:
    """The body of a streaming response: one chunk of bytes for each entry or silence."""
    encode = dialect.encoder(run_id)
    async with aclosing(entries):
        async for entry in entries:
            yield dialect.silence if entry is None else encode(entry)
