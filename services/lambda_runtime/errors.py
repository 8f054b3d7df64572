"""The runtime's own errors. It imports none of the rest of `services`, so it can be copied alone.

What must not leave the process (exception texts, paths) belongs in the log, attached with
``raise ... from``, never in `message`.
"""


class LambdaRuntimeError(Exception):
    """A failure of the runtime, with a stable code and a message that says what to do."""

    code = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RuntimeSetupError(LambdaRuntimeError):
    """The function or its environment is set up wrongly: the process cannot start."""
