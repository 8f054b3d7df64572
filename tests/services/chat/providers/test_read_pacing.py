"""Many models' streams in one process read their sockets less often, each."""

from contextlib import ExitStack

from services.chat.providers import read_pacing


def test_only_a_crowd_lets_its_bytes_gather() -> None:
    """Few streams read at once; many share the reads of a second; nobody waits long."""
    with ExitStack() as streams:
        waits = []
        for _ in range(400):
            streams.enter_context(read_pacing.counted())
            waits.append(read_pacing.gather())
    assert set(waits[: read_pacing.FEW]) == {0.0}
    assert waits[63] == 64 / read_pacing.READS
    assert max(waits) == read_pacing.LONGEST_GATHER
    assert read_pacing.gather() == 0.0
