"""Many models' streams in one process read their sockets less often, each."""

import asyncio
from contextlib import ExitStack

import pytest

from services.chat.providers import read_pacing


def test_only_a_crowd_lets_its_bytes_gather() -> None:
    """Few streams read at once; many share the reads of a second; no stream waits long."""
    with ExitStack() as streams:
        waits = []
        for _ in range(400):
            streams.enter_context(read_pacing.count_stream())
            waits.append(read_pacing.get_read_pause())
    assert set(waits[: read_pacing.FEW_STREAMS]) == {0.0}
    assert waits[63] == 64 / read_pacing.READS_PER_SECOND
    assert max(waits) == read_pacing.MAX_PAUSE
    assert read_pacing.get_read_pause() == 0.0


class Connection:
    """What httpcore reads from: its bytes are there, or never come."""

    def __init__(self, *said: bytes) -> None:
        self.said = list(said)

    async def read(self, _max_bytes: int) -> bytes:
        if not self.said:
            await asyncio.Event().wait()
        return self.said.pop(0)


@pytest.mark.anyio
async def test_a_paced_connection_is_read_as_ever_and_is_itself_again() -> None:
    """It may carry the answer to another question next."""
    connection = Connection(b"a", b"b", b"c")
    with read_pacing.pace_reads(connection, lambda: 60.0):
        assert [await connection.read(9), await connection.read(9)] == [b"a", b"b"]
    assert "read" not in vars(connection)
    assert await connection.read(9) == b"c"


@pytest.mark.anyio
async def test_a_silent_connection_is_waited_for_as_long_as_its_stream_says() -> None:
    """That may be another time at each read: a model that thinks has longer."""
    connection = Connection(b"a")
    times = iter([60.0, 0.01])
    with read_pacing.pace_reads(connection, lambda: next(times)):
        assert await connection.read(9) == b"a"
        with pytest.raises(TimeoutError):
            await connection.read(9)
