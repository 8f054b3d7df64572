"""What happens to bytes on their way: nothing is lost, and time is kept."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.stages import CutError, at, coalesce, idle, split, throttle

PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=12)


async def source(pieces: list[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def all_of(stage: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [data async for data in stage]


@given(PIECES, st.integers(1, 50))
def test_splitting_and_coalescing_keep_every_byte(pieces: list[bytes], size: int) -> None:
    """Only the cuts differ: pieces of at most, or at least, so many bytes."""

    async def check() -> None:
        parts = await all_of(split(source(pieces), size))
        assert b"".join(parts) == b"".join(pieces)
        assert all(1 <= len(part) <= size for part in parts)
        parts = await all_of(coalesce(source(pieces), size))
        assert b"".join(parts) == b"".join(pieces)
        assert all(len(part) >= size for part in parts[:-1])

    asyncio.run(check())


@given(PIECES, st.integers(0, 500))
def test_an_action_strikes_at_its_byte(pieces: list[bytes], offset: int) -> None:
    """Exactly so many bytes have passed; with fewer it never strikes."""
    whole = b"".join(pieces)

    async def check() -> None:
        seen = b""
        struck: list[int] = []

        async def act() -> None:
            struck.append(len(seen))

        async for data in at(source(pieces), offset, act):
            assert data
            seen += data
        assert seen == whole
        assert struck == ([offset] if offset <= len(whole) else [])

    asyncio.run(check())


@pytest.mark.parametrize(
    ("offset", "pieces"),
    [
        (0, [b"!", b"ab", b"cd"]),
        (1, [b"a", b"!", b"b", b"cd"]),
        (2, [b"ab", b"!", b"cd"]),
        (4, [b"ab", b"cd", b"!"]),
        (5, [b"ab", b"cd"]),
    ],
)
def test_a_piece_is_divided_where_the_action_strikes(offset: int, pieces: list[bytes]) -> None:
    """No empty pieces, and none held back."""

    async def check() -> None:
        seen: list[bytes] = []

        async def act() -> None:
            seen.append(b"!")

        async for data in at(source([b"ab", b"cd"]), offset, act):
            seen.append(data)  # noqa: PERF401 - the action writes between the pieces
        assert seen == pieces

    asyncio.run(check())


def on_virtual_time(work: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """Run with a clock that jumps to the next timer; gives the seconds that it says passed."""
    loop = asyncio.new_event_loop()
    now = 0.0
    select = loop._selector.select  # type: ignore[attr-defined]  # the one place where a loop waits

    def leap(timeout: float | None) -> Any:
        nonlocal now
        if timeout:
            now += timeout
        return select(0)

    loop._selector.select = leap  # type: ignore[attr-defined]  # see above
    loop.time = lambda: now  # type: ignore[method-assign]  # see above
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()
    return now


@pytest.mark.parametrize(
    ("megabytes", "seconds"), [(6, 0.0), (7, 0.5), (8, 1.0), (16, 5.0), (46, 20.0)]
)
def test_six_megabytes_are_free_and_then_two_a_second(megabytes: int, seconds: float) -> None:
    """Lambda's bucket: full at first, 256 KiB more every 125 ms."""

    async def check() -> None:
        pieces = [b"x" * 65536] * (16 * megabytes)
        assert sum(map(len, await all_of(throttle(source(pieces))))) == megabytes * 1024 * 1024

    assert on_virtual_time(check) == pytest.approx(seconds, abs=0.13)


def test_a_bucket_may_be_empty_and_slow() -> None:
    """No burst, eight bytes a second: sixteen bytes take two."""

    async def check() -> None:
        assert b"".join(await all_of(throttle(source([b"x" * 16]), 0, 8.0))) == b"x" * 16

    assert on_virtual_time(check) == pytest.approx(2.0, abs=0.2)


def test_silence_is_cut_and_speech_is_not() -> None:
    """Each piece starts the patience anew."""

    async def speak(gap: float) -> AsyncGenerator[bytes, None]:
        for _ in range(5):
            await asyncio.sleep(gap)
            yield b"x"

    async def check() -> None:
        assert len(await all_of(idle(speak(29), 30))) == 5
        with pytest.raises(CutError):
            await all_of(idle(speak(31), 30))

    assert on_virtual_time(check) == pytest.approx(5 * 29 + 30)
