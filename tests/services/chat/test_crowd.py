"""Many models' streams in one process read their sockets less often, each."""

from contextlib import ExitStack

from services.chat import crowd


def test_only_a_crowd_lets_its_bytes_gather() -> None:
    """Few streams read at once; many share the reads of a second; nobody waits long."""
    with ExitStack() as streams:
        waits = []
        for _ in range(400):
            streams.enter_context(crowd.counted())
            waits.append(crowd.gather())
    assert set(waits[: crowd.FEW]) == {0.0}
    assert waits[63] == 64 / crowd.READS
    assert max(waits) == crowd.LONGEST_GATHER
    assert crowd.gather() == 0.0
