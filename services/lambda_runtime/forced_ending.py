"""The ending of one invocation, written by the watchdog while the event loop is blocked.

Before the first byte it is a whole request on a connection of its own, so that nothing of the
loop is touched; after it, the end of the stream that was begun. It knows what an ending says;
when one is due is the watchdog's.
"""

from collections.abc import Callable

from . import wire
from .asgi import Exchange
from .delivery import Delivery
from .head import Head, to_prelude

TEXT = (("content-type", "text/plain; charset=utf-8"),)


class ForcedEnding:
    """What the watchdog may do to one invocation.

    `request` makes the whole ending; `finish` ends a stream that `has_begun`.
    """

    __slots__ = ("_delivery", "_exchange", "_finish", "_has_begun", "_request", "due")

    def __init__(
        self,
        delivery: Delivery,
        due: float,
        request: Callable[[], bytes],
        *,
        exchange: Exchange | None = None,
        has_begun: Callable[[], bool] = lambda: False,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self.due = due
        self._delivery = delivery
        self._exchange = exchange
        self._request = request
        self._has_begun = has_begun
        self._finish = finish

    def hold(self) -> None:
        """Refuse what the application sends from now on."""
        if self._exchange is not None:
            self._exchange.hold()

    def release(self) -> None:
        """Allow it again."""
        if self._exchange is not None:
            self._exchange.release()

    def take_over(self) -> bool:
        """End a stream that has begun (True), or have the loop deliver nothing more (False)."""
        if self._has_begun():
            self.release()
            self._finish()
            return True
        self._delivery.end_outside()
        return False

    def end_outside(self) -> None:
        """Send the whole ending. Raises `OSError` when the Runtime API cannot be reached."""
        self._delivery.send_outside(self._request())


def stream_whole(
    delivery: Delivery, head: Head, body: bytes, failure: wire.Failure | None = None
) -> bytes:
    """A whole streamed response, as one request to the Runtime API."""
    prelude = to_prelude(head, empty=not body, multi_value=False)
    parts = (wire.frame_chunk(prelude), wire.frame_chunk(body), wire.last_chunk(failure))
    return delivery.head(wire.HTTP_INTEGRATION) + b"".join(parts)
