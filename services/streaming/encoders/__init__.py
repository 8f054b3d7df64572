"""Dialects: the entries of a run as the bytes that one family of clients understands.

A dialect is one module with a content type, an encoder and what it says in silence. Encoders are
deterministic: from the same info and the same entries come the same bytes, for any reader and
whenever. One that has state builds it from the entries alone, so a reader who resumes is given the
run from its beginning and is sent what follows the cursor. docs/adding-a-dialect.md shows how.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from ...runs import Entry
from .run_info import RunInfo

__all__ = ["MODULES", "NEGOTIABLE", "Dialect", "Encoder", "RunInfo", "find_dialect", "frames"]

Encoder = Callable[[Entry], bytes]
"""The frames of the next entry of a run; none where the dialect does not say such a thing."""

MODULES: Mapping[str, str] = {
    "native": "native",
    "ndjson": "ndjson",
    "openai_chat": "openai_chat",
    "openai_responses": "openai_responses",
    "ai_sdk": "ai_sdk",
    "ag_ui": "ag_ui",
}
"""The module of each dialect in this folder. It is imported when the dialect is first spoken."""

NEGOTIABLE = ("native", "ndjson")
"""The dialects that an `Accept` header chooses; each other has an address of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one family of clients is spoken to.

    `encoder` takes a `RunInfo` and gives the function that frames the entries of its run. `silence`
    is sent when nothing was said for a while; it is no event to any client of the dialect.
    `has_state`: its frames depend on the entries before, so a reader is given the first one too.
    `describe_refusal` gives the JSON body (or the text) of an error before the first byte, and
    `describe_answer` the one of an answer that is not streamed; None: as the contract has them.
    `describe_progress` gives the object of a run that has no answer (yet).
    `parse_request` gives the fields of a question from a body, where its own URL has one.
    """

    content_type: str
    encoder: Callable[[RunInfo], Encoder]
    silence: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    has_state: bool = True
    describe_refusal: Callable[[Mapping[str, Any]], Mapping[str, Any] | str] | None = None
    describe_answer: Callable[[RunInfo, Mapping[str, Any]], Mapping[str, Any]] | None = None
    describe_progress: Callable[..., Mapping[str, Any]] | None = None
    parse_request: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None


@cache
def find_dialect(name: str) -> Dialect:
    """Return the dialect `name` of `MODULES`. Raises `KeyError` for any other."""
    module = import_module(f".{MODULES[name]}", __package__)
    return Dialect(
        content_type=module.CONTENT_TYPE,
        encoder=module.encoder,
        silence=module.SILENCE,
        headers=getattr(module, "HEADERS", {}),
        has_state=getattr(module, "HAS_STATE", True),
        describe_refusal=getattr(module, "describe_refusal", None),
        describe_answer=getattr(module, "describe_answer", None),
        describe_progress=getattr(module, "describe_progress", None),
        parse_request=getattr(module, "parse_request", None),
    )


async def frames(
    entries: AsyncGenerator[Entry | None, None],
    dialect: Dialect,
    run_info: RunInfo,
    *,
    after: int = 0,
) -> AsyncGenerator[bytes, None]:
    """Yield the body of a streaming response: a chunk for each entry after `after` or silence.

    `entries` begin with the first entry of the run where the dialect has state; those up to `after`
    are given to the encoder and not sent.
    """
    encode = dialect.encoder(run_info)
    async with aclosing(entries):
        async for entry in entries:
            if entry is None:
                yield dialect.silence
            elif (chunk := encode(entry)) and not 0 < entry.seq <= after:
                yield chunk
