"""How often and after which waits a client tries again, and when it gives up.

Pure arithmetic over a clock and random numbers that are handed in. Knows nothing of HTTP.
"""

from collections.abc import Callable
from dataclasses import dataclass

from riverrun_client.errors import GaveUpError


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Times in seconds.

    `max_retries`: failed tries in a row before a run is given up; a try that brought a new event
    is no failure. `max_unanswered`: the same while the server has never answered. The wait is a
    random part of `first_wait`, doubled for each failed try, up to `longest_wait`. `silence`:
    three heartbeats of the contract and a little more; then the connection is dead.
    `longest_retry_after`: the longest `Retry-After` that is waited for. `offline` and `probe`:
    while this machine has no network, look every `probe` seconds whether it is back, for so long.
    """

    max_retries: int = 9
    max_unanswered: int = 3
    first_wait: float = 1.0
    longest_wait: float = 30.0
    connect: float = 10.0
    silence: float = 35.0
    longest_retry_after: float = 120.0
    offline: float = 600.0
    probe: float = 2.0


class LostError(Exception):
    """The connection is gone, the run is not: wait, then read on.

    `wait` is what the server asked for. `offline`: this machine has no network.
    `final_error` is what to raise when no try is left.
    """

    def __init__(
        self,
        reason: str,
        *,
        wait: float | None = None,
        offline: bool = False,
        paused: bool = False,
        final_error: GaveUpError | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.offline = offline
        self.paused = paused
        self.final_error = final_error


class RetryCounter:
    """Count the failed tries of one run in a row."""

    def __init__(
        self, policy: RetryPolicy, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self.policy = policy
        self.failures = 0
        self.was_answered = False
        self.first_wait = policy.first_wait
        self._clock = clock
        self._random = random
        self._offline_since: float | None = None

    def reset(self) -> None:
        """Start the count again: something new came."""
        self.failures = 0

    def set_reconnection_time(self, milliseconds: int) -> None:
        """Take over the wait that the stream's `retry` field names."""
        # A float holds no number of 4,000 digits; the bounds hold for a stream that says 0 too.
        seconds = min(milliseconds, 3_600_000) / 1000
        self.first_wait = min(max(seconds, 0.1), self.policy.longest_wait)

    def next_wait(self, lost: LostError) -> float | None:
        """Return the seconds to wait before the next try, None to give up."""
        if lost.offline and self.was_answered:
            return self._offline_wait()
        self._offline_since = None
        if lost.paused and self.failures == 0:
            # The server asked to come back: this try failed only if the next one brings nothing.
            self.failures = 1
            return self._server_wait(lost)
        self.failures += 1
        bound = self.policy.max_retries if self.was_answered else self.policy.max_unanswered
        if self.failures > bound or (lost.wait or 0.0) > self.policy.longest_retry_after:
            return None
        return max(self._server_wait(lost), self._jittered_wait())

    def _server_wait(self, lost: LostError) -> float:
        return min(max(lost.wait or 0.0, 0.0), self.policy.longest_retry_after)

    def _jittered_wait(self) -> float:
        # Full jitter: any part of the wait, so that a crowd that was cut off does not come
        # back as one.
        ceiling = min(self.policy.longest_wait, self.first_wait * 2.0 ** (self.failures - 1))
        return self._random() * ceiling

    def _offline_wait(self) -> float | None:
        # No packet leaves, so looking often hurts no server; and a person who opens the laptop
        # again does not want to wait half a minute.
        now = self._clock()
        if self._offline_since is None:
            self._offline_since = now
        if now - self._offline_since > self.policy.offline:
            return None
        return self._random() * self.policy.probe
