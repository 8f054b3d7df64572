"""What a stream shows of the run it reads: the same for both clients."""

from riverrun_client.cursor import RunCursor
from riverrun_client.events import Result, Source, Status


class Reader:
    """Where the reading of one run stands. Nothing here waits or sends."""

    def __init__(self, cursor: RunCursor) -> None:
        self._cursor = cursor

    @property
    def run_id(self) -> str | None:
        """The run's id; None until the server has said it."""
        return self._cursor.run_id or None

    @property
    def cursor(self) -> str | None:
        """Where to read on, for `resume`; None until the run is known."""
        return self._cursor.cursor

    @property
    def answer(self) -> str:
        """The answer so far."""
        return self._cursor.answer

    @property
    def sources(self) -> tuple[Source, ...]:
        """The passages that were found."""
        return self._cursor.sources

    @property
    def steps(self) -> tuple[Status, ...]:
        """The latest status of each step."""
        return self._cursor.steps

    @property
    def result(self) -> Result | None:
        """The result; None until the run has ended well."""
        return self._cursor.result

    @property
    def first_byte(self) -> float | None:
        """When the first byte of the stream came, by the client's clock."""
        return self._cursor.first_byte
