"""Where invocations wait for polls, and polls for invocations.

First come, first served, both ways. Knows nothing of states or of what an invocation says.
"""

import asyncio
import contextlib
from collections import deque

from emulator.http1 import Reply
from emulator.invocation import FunctionError, Invocation


class Polls:
    """The queue between the invocations of a function and a runtime's `/next` requests."""

    def __init__(self) -> None:
        self.waiting: deque[Invocation] = deque()
        self._closed_by: FunctionError | None = None
        self._polls: deque[asyncio.Future[Invocation]] = deque()

    @property
    def idle(self) -> int:
        """How many polls have nothing to do."""
        return sum(not poll.done() for poll in self._polls)

    def submit(self, invocation: Invocation) -> None:
        """Hand an invocation to the longest-waiting poll, or queue it."""
        if self._closed_by is not None:
            invocation.fail(self._closed_by)
            return
        while self._polls:
            poll = self._polls.popleft()
            if not poll.done():
                poll.set_result(invocation)
                return
        self.waiting.append(invocation)

    def close(self, error: FunctionError) -> None:
        """No runtime will poll any more: what waits, and what comes later, fails with `error`."""
        self._closed_by = error
        while self.waiting:
            self.waiting.popleft().fail(error)

    async def take(self, reply: Reply) -> Invocation | None:
        """The next invocation for this poll; None when the runtime hung up first."""
        while self.waiting:
            invocation = self.waiting.popleft()
            if not invocation.is_over:
                return invocation
        poll: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._polls.append(poll)
        watch = asyncio.ensure_future(reply.wait_closed())
        try:
            await asyncio.wait((poll, watch), return_when=asyncio.FIRST_COMPLETED)
            if watch.done() and poll.done():
                self.submit(poll.result())  # handed to a poll that had just gone
                return None
            return poll.result() if poll.done() else None
        finally:
            watch.cancel()
            await asyncio.wait((watch,))  # the connection has one reader at a time
            poll.cancel()
            with contextlib.suppress(ValueError):
                self._polls.remove(poll)
