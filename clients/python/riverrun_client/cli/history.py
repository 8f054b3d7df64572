"""What was asked from this machine: so that `chat --continue` knows its session, `runs` the runs.

A file of lines in the user's state directory that only this user can read. It holds the last
questions; a file that cannot be written or read is as good as an empty one.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from riverrun_client.json_input import parse_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

KEEP = 200


@dataclass(frozen=True, slots=True)
class PastQuestion:
    """A question that was answered: `at` is epoch seconds."""

    url: str
    run: str
    session: str
    query: str
    at: float


def history_path(environ: Mapping[str, str]) -> Path:
    """Where the lines are: `XDG_STATE_HOME`, else `~/.local/state`."""
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "riverrun" / "history.ndjson"


def read_history(path: Path, url: str) -> list[PastQuestion]:
    """What was asked of the server at `url`, oldest first."""
    found = []
    with suppress(OSError, ValueError):
        for line in path.read_text("utf-8").splitlines():
            with suppress(ValueError, TypeError):
                asked = PastQuestion(**parse_json(line))
                if asked.url == url:
                    found.append(asked)
    return found


def remember(path: Path, url: str, run: str, session: str, query: str) -> None:
    """Add a question."""
    line = json.dumps(asdict(PastQuestion(url, run, session, query, time.time())))
    with suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(path.with_name(f".{path.name}.lock")):
            kept = path.read_text("utf-8").splitlines() if path.exists() else []
            _write(path, [*kept[1 - KEEP :], line])


def forget(path: Path, run: str) -> None:
    """Take a run out of the list."""
    with suppress(OSError, ValueError), _lock(path.with_name(f".{path.name}.lock")):
        _write(path, [line for line in path.read_text("utf-8").splitlines() if run not in line])


def _write(path: Path, lines: list[str]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
        new.writelines(f"{line}\n" for line in lines)
    part.replace(path)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep other commands of this user out; where the system has no such lock, nothing does."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
