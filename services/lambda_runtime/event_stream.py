"""Where in an event stream a body has got to: within a line, within an event, or between two.

Frames are not events: a proxy sends line by line, or cuts anywhere. Between two events, and
only there, the host may add a comment or a last event of its own. It knows the format of
``text/event-stream`` only.
"""

EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class EventStreamPosition:
    """Fed with every frame of one stream, in order."""

    __slots__ = ("_after_cr", "_at_line_start", "_has_fields", "_in_comment")

    def __init__(self) -> None:
        self._at_line_start = True
        self._has_fields = False  # since the last blank line
        self._in_comment = False
        self._after_cr = False

    @property
    def is_between_events(self) -> bool:
        """Whether a line added now neither continues one nor joins an unfinished event."""
        return self._at_line_start and not self._has_fields

    def feed(self, frame: bytes) -> None:
        """Take the next frame."""
        if frame.endswith(EVENT_ENDS):
            self._at_line_start, self._has_fields = True, False
        else:
            # After CR a line feed is the other half of the same line's end.
            rest = frame[1:] if self._after_cr and frame.startswith(b"\n") else frame
            for line in rest.splitlines(keepends=True):
                self._feed_line(line.rstrip(b"\r\n"), ended=line.endswith((b"\n", b"\r")))
        if frame:
            self._after_cr = frame.endswith(b"\r")

    def _feed_line(self, text: bytes, *, ended: bool) -> None:
        if self._at_line_start:
            self._in_comment = text.startswith(b":")
        if ended:
            if self._at_line_start and not text:
                self._has_fields = False
            elif not self._in_comment:
                self._has_fields = True
        self._at_line_start = ended
