"""How much is done for each figure of the runtimes: all of it, or a look."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is done for a figure."""

    rounds: int = 5
    first_bytes: int = 40
    paced: int = 300
    chunks: int = 1600
    slow_chunks: int = 3190  # 200 MB at Lambda's limit is 200 MiB
    cold_starts: int = 7
    invocations: int = 1500
    streams: int = 1000
    seconds: float = 10.0


QUICK = Effort(
    rounds=1,
    first_bytes=20,
    paced=100,
    chunks=400,
    slow_chunks=800,
    cold_starts=2,
    invocations=300,
    streams=200,
    seconds=4.0,
)
