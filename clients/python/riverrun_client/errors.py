"""Everything that can go wrong, typed: a stable code, what happened, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riverrun_client.event_json import read_number, read_sources, read_steps
from riverrun_client.events import Source, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What there was of an answer when it failed."""

    answer: str = ""
    sources: tuple[Source, ...] = ()
    steps: tuple[Status, ...] = ()


class RiverrunError(Exception):
    """There is no answer, and no use in waiting for it.

    `code` is stable (the contract's, or one of this client's: see each class); the message is a
    sentence for a person and `hint`, where there is one, says what to do. `retryable` means that
    asking again may help. `retry_after` is in seconds. `partial` is what was said before, `cursor`
    where to go on reading, `step` the step that failed, `status` the HTTP status where it was one.
    """

    code = "internal"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
        partial: Partial | None = None,
        run_id: str | None = None,
        cursor: str | None = None,
        status: int | None = None,
        step: int | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.retryable = self.retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.hint = hint
        self.partial = partial or Partial()
        self.run_id = run_id
        self.cursor = cursor
        self.status = status
        self.step = step
        self.raw = raw

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class RunFailedError(RiverrunError):
    """The run ended with an `error` event: `code` is one of the contract's (docs/errors.md)."""


class RefusedError(RiverrunError):
    """The server did not accept the request: `status` is its HTTP status, `code` its reason."""


class GaveUpError(RiverrunError):
    """The server could not be reached, or the stream not be mended, within the patience given.

    `code` is `unreachable`, `interrupted` or, where the server said it, its own (`overloaded`).
    The run may well go on: `cursor` is where to read on.
    """

    code = "interrupted"
    retryable = True


class ProtocolError(RiverrunError):
    """What answered does not speak the contract.

    `code` is `not_a_stream` (another content type), `redirected`, or `too_large`.
    """

    code = "not_a_stream"


class EndedError(RiverrunError):
    """There is nothing after that cursor: the run has ended and its last event was read (204)."""

    code = "ended"


class SetupError(RiverrunError):
    """This machine's own network settings are in the way; no request reaches a server.

    `code` is `proxy_unusable`, `certificates_unusable` or `proxy_refused`; `hint` says which
    setting to mend.
    """

    code = "proxy_unusable"


def build_run_error(
    raw: Mapping[str, Any], partial: Partial, *, cursor: str | None
) -> RunFailedError:
    """The exception for an `error` event. `partial` is what this client saw itself."""
    what = raw.get("partial")
    if isinstance(what, dict):
        answer = what.get("answer")
        partial = Partial(
            answer=answer if isinstance(answer, str) else partial.answer,
            sources=read_sources(what.get("sources")) or partial.sources,
            steps=read_steps(what.get("steps")) or partial.steps,
        )
    return RunFailedError(
        _read_sentence(raw, "The run failed."),
        partial=partial,
        cursor=_read_text(raw, "cursor") or cursor,
        run_id=_read_text(raw, "runId") or (cursor or "").rpartition("-")[0] or None,
        raw=raw,
        **read_error_fields(raw),
    )


def read_error_fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The `code`, `retryable`, `hint` and `retry_after` of the contract's error object."""
    wait, step = read_number(raw, "retryAfterMs"), read_number(raw, "step")
    return {
        "code": _read_text(raw, "code"),
        "retryable": raw.get("retryable") is True,
        "hint": _read_text(raw, "hint"),
        "step": None if step is None else int(step),
        "retry_after": None if wait is None or wait < 0 else wait / 1000,
    }


def _read_sentence(raw: Mapping[str, Any], otherwise: str) -> str:
    return _read_text(raw, "error") or otherwise


def _read_text(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get(name)
    return value if isinstance(value, str) and value else None
