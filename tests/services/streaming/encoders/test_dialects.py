"""What every dialect promises, whichever it is."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from services.runs import Entry
from services.streaming.encoders import NEGOTIABLE, Dialect, find_dialect, frames
from tests.services.streaming.encoders.golden import CASES, NAMES, RUN_INFO, entry_of

every_dialect = pytest.mark.parametrize(
    "dialect", [find_dialect(name) for name in NEGOTIABLE], ids=NEGOTIABLE
)


async def entries(closed: list[bool]) -> AsyncGenerator[Entry | None, None]:
    """The corpus, with a silence before each entry."""
    try:
        for case in CASES:
            yield None
            yield entry_of(case)
    finally:
        closed.append(True)


@every_dialect
@pytest.mark.anyio
async def test_one_entry_is_one_chunk(dialect: Dialect) -> None:
    """The contract's first clients lose an event that is cut over two reads."""
    closed: list[bool] = []
    async with aclosing(frames(entries(closed), dialect, RUN_INFO)) as chunks:
        got = [chunk async for chunk in chunks]
    encode = dialect.encoder(RUN_INFO)
    assert got[::2] == [dialect.silence] * len(CASES)
    assert got[1::2] == [encode(entry_of(case)) for case in CASES]
    assert closed == [True]


@every_dialect
@pytest.mark.anyio
async def test_leaving_closes_the_entries(dialect: Dialect) -> None:
    """The stage that is handed a generator closes it."""
    closed: list[bool] = []
    async with aclosing(frames(entries(closed), dialect, RUN_INFO)) as chunks:
        await anext(chunks)
    assert closed == [True]


@every_dialect
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_same_log_gives_the_same_bytes(dialect: Dialect, case: dict[str, Any]) -> None:
    """At any time, for any reader."""
    first = dialect.encoder(RUN_INFO)
    for other in CASES:
        first(entry_of(other))
    assert first(entry_of(case)) == dialect.encoder(RUN_INFO)(entry_of(case))


@every_dialect
def test_no_frame_is_empty_and_each_ends_its_line(dialect: Dialect) -> None:
    """A chunk of no bytes would end a chunked body."""
    encode = dialect.encoder(RUN_INFO)
    for frame in (dialect.silence, *(encode(entry_of(case)) for case in CASES)):
        assert frame.endswith(b"\n")
