"""What is fetched for a stranger takes no thread from the rest of the process."""

import asyncio
import threading

import pytest

from services.access import fetch
from services.access.fetch import FetchError, fetch_beside

pytestmark = pytest.mark.anyio
MOST = fetch._AT_ONCE + fetch._WAITING


async def test_a_flood_at_a_slow_service_is_refused_and_holds_up_nothing() -> None:
    """As many as may wait do, the next is refused at once; other threads are free all the while."""
    answers = threading.Event()
    waiting = [asyncio.create_task(fetch_beside(answers.wait)) for _ in range(MOST)]
    try:
        await asyncio.sleep(0)
        with pytest.raises(FetchError):
            await fetch_beside(lambda: True)
        assert await asyncio.to_thread(lambda: "free") == "free"
        # One that left gives its place back when its turn would have come.
        waiting[-1].cancel()
    finally:
        answers.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert ended[:-1] == [True] * (MOST - 1)
    assert await fetch_beside(lambda: "served") == "served"


async def test_what_a_fetch_raises_is_raised_and_leaves_its_place() -> None:
    """More often than there are places."""

    def fail() -> None:
        raise FetchError

    for _ in range(MOST + 1):
        with pytest.raises(FetchError):
            await fetch_beside(fail)
