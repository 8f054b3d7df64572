"""Many models' streams in one process read their sockets less often, each."""

from contextlib import ExitStack

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
