"""The deadline kept from outside the event loop, for application code that blocks it.

A call that does not return to the loop (`time.sleep`, a blocking driver) stops every timer of
the loop, so the wire would be silent until Lambda kills the sandbox. A thread looks at what is
due, asks the loop for a sign of life, and writes the ending itself when there is none. Code that
holds the interpreter's lock too, in a C extension, stops this thread as well.

It knows threads and the loop; what an ending is, is the invocation's.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger(__name__)

SIGN_OF_LIFE = 0.05  # seconds in which a loop that is not blocked runs a callback
INTERVAL = 0.1  # seconds until a loop that is alive, but late, is asked again


class Watchable(Protocol):
    """An invocation whose ending may have to be written from outside.

    `due` is when, by the clock of deadlines; the loop itself should have ended it before.
    """

    due: float

    def hold(self) -> None:
        """Refuse what the application sends from now on."""

    def release(self) -> None:
        """Allow it again: the loop lives."""

    def end_outside(self) -> None:
        """Write the ending; called on the watchdog's thread while the loop is blocked."""


class Watchdog:
    """One per process. Its thread begins with the first invocation and sleeps between."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._watched: set[Watchable] = set()
        self._changed = threading.Condition()
        self._wakes_at = float("-inf")
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, one: Watchable) -> None:
        """Look after `one` until `leave`. Costs next to nothing where deadlines come in order."""
        self._watched.add(one)
        if self._thread is None:
            self._wakes_at = one.due
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()
        elif one.due < self._wakes_at:
            with self._changed:
                self._changed.notify()

    def leave(self, one: Watchable) -> None:
        """It has ended."""
        self._watched.discard(one)

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while not self._closed:
            now = self._clock()
            due = [one for one in tuple(self._watched) if one.due <= now]
            if due and not self._answers(SIGN_OF_LIFE):
                self._end(due)
            with self._changed:
                later = [one.due for one in tuple(self._watched)]
                self._wakes_at = max(min(later, default=now + 3600.0), now + INTERVAL)
                if not self._closed:
                    self._changed.wait(self._wakes_at - now)

    def _end(self, due: list[Watchable]) -> None:
        for one in due:
            one.hold()
        if self._answers(SIGN_OF_LIFE):  # it was on its way: the loop's own ending comes
            for one in due:
                one.release()
            return
        for one in due:
            if one in self._watched:
                self._watched.discard(one)
                try:
                    one.end_outside()
                except OSError as error:
                    logger.warning("A blocked invocation could not be ended: %s", error)

    def _answers(self, seconds: float) -> bool:
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # the loop is closed: nothing is left to end
            self._closed = True
            return True
        return answered.wait(seconds)
