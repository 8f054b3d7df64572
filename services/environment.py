"""Read one environment variable: its text as a value, or a `SetupError` that says what is known.

Each function takes the environment it reads from; nothing here looks at the process's own.
"""

from collections.abc import Mapping

from .errors import SetupError


def read_choice(environ: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    """Read one of the `known` words."""
    value = environ.get(name, "") or default
    if value not in known:
        raise SetupError(f"{name}={value!r} is not known. Use one of: {', '.join(known)}.")
    return value


def read_integer(
    environ: Mapping[str, str], name: str, default: int, *, low: int, high: int | None = None
) -> int:
    """Read a whole number from `low` to `high`."""
    text = environ.get(name, "")
    if not text:
        return default
    value = int(text) if text.isascii() and text.isdigit() else -1
    if value < low or (high is not None and value > high):
        limits = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise SetupError(f"{name}={text!r} must be a whole number {limits}.")
    return value


def read_seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    """Read a number of seconds greater than 0."""
    text = environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise SetupError(f"{name}={text!r} must be a number of seconds greater than 0.")
    return value


def read_number(
    environ: Mapping[str, str], name: str, *, high: float = float("inf")
) -> float | None:
    """Read a number from 0 to `high`; None where none is set."""
    text = environ.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= high or value == float("inf"):
        limits = f"from 0 to {high:g}" if high != float("inf") else "of at least 0"
        raise SetupError(f"{name}={text!r} must be a number {limits}.")
    return value


def read_list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Read a comma-separated list, without blanks around its parts."""
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip())


def read_guards(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Read a list that lets callers in. Empty would let everyone in, so empty is an error."""
    found = read_list(environ, name)
    if name in environ and not found:
        raise SetupError(
            f"{name} is set and holds nothing, which would let every caller in. "
            "Give it a value, or leave it out."
        )
    return found
