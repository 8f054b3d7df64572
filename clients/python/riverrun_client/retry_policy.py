"""How long a client bears with a server: waits, tries, and when it is enough.

Pure arithmetic over a clock and chance that are handed in. Knows nothing of HTTP.
"""

from collections.abc import Callable
from dataclasses import dataclass

from riverrun_client.errors import GaveUpError


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Times in seconds.

    `tries`: vain tries in a row before a run is given up; one that brought a new event is not
    vain. `strangers`: the same while the server has never answered. `first` and `longest`: the
    wait is a random part of `first`, doubled for each vain try, up to `longest`. `silence`: three
    heartbeats of the contract and a little more; then the line is dead. `asked`: the longest
    `Retry-After` that is waited for. `offline` and `probe`: while this machine has no network,
    look every `probe` seconds whether it is back, for so long.
    """

    tries: int = 9
    strangers: int = 3
    first: float = 1.0
    longest: float = 30.0
    connect: float = 10.0
    silence: float = 35.0
    asked: float = 120.0
    offline: float = 600.0
    probe: float = 2.0


class LostError(Exception):
    """The connection is gone, the run is not: wait, then read on.

    `wait` is what the server asked for. `offline`: this machine reaches nobody. `unheard`: no
    connection came about. `verdict` is what to raise when patience ends.
    """

    def __init__(
        self,
        reason: str,
        *,
        wait: float | None = None,
        offline: bool = False,
        unheard: bool = False,
        paused: bool = False,
        verdict: GaveUpError | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.offline = offline
        self.unheard = unheard
        self.paused = paused
        self.verdict = verdict


class Tries:
    """The vain tries of one run, counted."""

    def __init__(
        self, patience: Patience, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self.patience = patience
        self.vain = 0
        self.met = False
        self.first = patience.first
        self._clock = clock
        self._random = random
        self._offline_since: float | None = None

    def progress(self) -> None:
        """Something new came."""
        self.vain = 0

    def reconnection_time(self, milliseconds: int) -> None:
        """What the stream's `retry` field says."""
        # A float holds no number of 4,000 digits; the bounds hold for a stream that says 0 too.
        seconds = min(milliseconds, 3_600_000) / 1000
        self.first = min(max(seconds, 0.1), self.patience.longest)

    def after(self, lost: LostError) -> float | None:
        """How many seconds to wait before the next try; None: it is enough."""
        if lost.offline and self.met:
            return self._offline()
        self._offline_since = None
        if lost.paused and self.vain == 0:
            # The server asked to come back: no try was vain unless the next brings nothing.
            self.vain = 1
            return self._asked(lost)
        self.vain += 1
        bound = self.patience.tries if self.met else self.patience.strangers
        if self.vain > bound or (lost.wait or 0.0) > self.patience.asked:
            return None
        return max(self._asked(lost), self._jittered())

    def _asked(self, lost: LostError) -> float:
        return min(max(lost.wait or 0.0, 0.0), self.patience.asked)

    def _jittered(self) -> float:
        # Full jitter: any part of the wait, so that a crowd that was cut off does not come
        # back as one.
        ceiling = min(self.patience.longest, self.first * 2.0 ** (self.vain - 1))
        return self._random() * ceiling

    def _offline(self) -> float | None:
        # No packet leaves, so no server is hurt by looking often; and who opens the laptop again
        # does not want to wait out half a minute.
        now = self._clock()
        if self._offline_since is None:
            self._offline_since = now
        if now - self._offline_since > self.patience.offline:
            return None
        return self._random() * self.patience.probe
