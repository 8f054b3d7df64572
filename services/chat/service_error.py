"""What a model service reported of a failure, for the logger: bounded, on one line, without keys.

What it means is told by `provider_errors`; the text never leaves the process.
"""

import re

# Characters of a service's text that go to the logger.
_MAX_TEXT = 500

_SECRETS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|AIza|hf|nvapi|r8)[-_][\w*.-]{6,}|\b(?:AKIA|ASIA)[A-Z0-9]{8,}"
    r"|(?<=[Bb]earer )\S+|\beyJ[\w-]{10,}(?:\.[\w-]+)*"
)


class ServiceError(Exception):
    """A model service reported an error: its name, its text and the HTTP status, for the logger.

    `param` is the parameter of the request that it complains of, where it names one.
    """

    def __init__(
        self,
        *,
        status: int = 0,
        name: str = "",
        text: str = "",
        param: str = "",
        retry_after_ms: int | None = None,
    ) -> None:
        self.status = status
        self.name = name
        self.text = text
        self.param = param
        self.retry_after_ms = retry_after_ms
        parts = [str(status) if status else "", clean_for_log(name), clean_for_log(text)]
        super().__init__(": ".join(part for part in parts if part) or "no reason given")


def clean_for_log(text: str) -> str:
    """Shorten `text` for the logger, on one line, without control characters or keys."""
    line = " ".join(text[: 4 * _MAX_TEXT].split())
    line = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )
    line = _SECRETS.sub("[redacted]", line)
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]}…"
