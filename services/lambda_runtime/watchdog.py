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

    def take_over(self) -> bool:
        """Take the ending from the loop, which waits meanwhile; True where that wrote it."""

    def end_outside(self) -> None:
        """Write the ending that was taken over; on the watchdog's thread, with time."""


class Watchdog:
    """One per process. Its thread begins with the first invocation and sleeps between."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._watched: set[Watchable] = set()
        self._changed = threading.Condition()
        # Who takes an invocation out of the watched ones ends it: the loop or the watchdog. Held
        # for moments only, so that the loop can wait for it.
        self._choosing = threading.Lock()
        self._held: set[Watchable] = set()
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

    def leave(self, one: Watchable) -> bool:
        """Leave the ending to the loop, unless it is taken over; True where `one` was held.

        Then what the application sent last was refused, though no time of the loop had passed.
        """
        with self._choosing:
            self._watched.discard(one)
            was_held = one in self._held
            self._release(one)
            return was_held

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
        with self._choosing:
            self._held = {one for one in due if one in self._watched}
            for one in self._held:
                one.hold()
        if self._answers(SIGN_OF_LIFE):  # it was on its way: the loop's own ending comes
            with self._choosing:
                for one in tuple(self._held):
                    self._release(one)
            return
        for one in due:
            try:
                if self._take_over(one):
                    one.end_outside()
            except OSError as error:
                logger.warning("A blocked invocation could not be ended: %s", error)

    def _take_over(self, one: Watchable) -> bool:
        """Whether the ending of `one` is the watchdog's, and still to be written."""
        with self._choosing:
            if one not in self._held:
                return False
            self._held.discard(one)
            self._watched.discard(one)
            return not one.take_over()

    def _release(self, one: Watchable) -> None:
        if one in self._held:
            self._held.discard(one)
            one.release()

    def _answers(self, seconds: float) -> bool:
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # the loop is closed: nothing is left to end
            self._closed = True
            return True
        return answered.wait(seconds)
