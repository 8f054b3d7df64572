"""The one family of errors that a client may be shown.

Every failure has a stable code of the wire contract (docs/contract.md) and a message that
says what to do. What must not leave the process (exception texts, paths, model ids) belongs
in the logger's output, attached with ``raise ... from``, never in `message`.
"""


class RiverrunError(Exception):
    """A failure with a stable code and a message fit for a client.

    `retryable` says that the same request may succeed later; `retry_after_ms` says when.
    `hint` is one sentence of advice.
    """

    code = "internal"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else type(self).code
        self.retryable = retryable if retryable is not None else type(self).retryable
        self.retry_after_ms = retry_after_ms
        self.hint = hint


class SetupError(RiverrunError):
    """The installation is at fault: a setting, an index, a model file, a directory.

    Raised at start or before a model is paid. A command prints `message` as its one line;
    over HTTP the client is shown `internal` and the logger gets the rest.
    """

    code = "internal"
