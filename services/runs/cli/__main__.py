"""`python -m services.runs.cli`: what was asked lately, one run in full, or a recording of it.

For the operator: it reads the log of `RIVERRUN_LOG`, the runs of every owner.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...errors import RiverrunError
from ...settings import read_settings
from ..log import RunLog, Summary
from ..opening import open_log
from ..recordings import record_lines
from .formatting import HEADING, entry_line, run_line, run_lines

# Among how many of the newest runs the beginning of an id is looked for.
LOOKED_AT = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """List, show or export. Returns the exit status: 1 with one line when it cannot."""
    options = _options(arguments)
    if options.export is not None and options.run is None:
        print("Say which run to export: make runs RUN=id EXPORT=file", file=sys.stderr)
        return 2
    # A terminal that cannot write a character gets it spelled out.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        asyncio.run(_run(options))
    except RiverrunError as error:
        print(error.message, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The program behind the pipe has seen enough (`| head`); Python would complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.runs.cli", description=__doc__)
    parser.add_argument("run", nargs="?", help="the id of a run, or the beginning of one")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write a recording of it")
    parser.add_argument("--limit", type=int, default=20, help="how many runs to list")
    return parser.parse_args(arguments)


async def _run(options: argparse.Namespace) -> None:
    settings = read_settings(os.environ)
    if settings.log.startswith("memory://"):
        raise RiverrunError(
            "RIVERRUN_LOG=memory:// is in the memory of the process that serves; "
            "no other process can list it."
        )
    log = open_log(settings)
    try:
        if options.run is None:
            await _list(log, options.limit)
        elif options.export is None:
            await _show(log, await _find(log, options.run))
        else:
            await _export(log, await _find(log, options.run), options.export)
    finally:
        await log.close()


async def _list(log: RunLog, limit: int) -> None:
    summaries = await log.list_recent(limit)
    if not summaries:
        print("No runs yet.")
        return
    now = time.time()
    print(HEADING)
    for summary in summaries:
        feedback = await log.read_feedback(summary.run.id)
        print(run_line(summary, await log.read_last(summary.run.id), now, feedback))


async def _find(log: RunLog, beginning: str) -> Summary:
    found = [
        summary
        for summary in await log.list_recent(LOOKED_AT)
        if beginning and summary.run.id.startswith(beginning.lower())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise RiverrunError(f"{len(found)} runs begin with {beginning!r}. Give more of the id.")
    raise RiverrunError(f"None of the {LOOKED_AT:,} newest runs begins with {beginning!r}.")


async def _show(log: RunLog, summary: Summary) -> None:
    run = summary.run
    feedback = await log.read_feedback(run.id)
    for line in run_lines(summary, await log.read_last(run.id), time.time(), feedback):
        print(line)
    times = iter(await log.read_append_times(run.id))
    last, at = next(times, (0, 0.0))
    seq = 0
    while entries := await log.read(run.id, seq):
        for entry in entries:
            seq = entry.seq
            while 0 < last < seq:
                last, at = next(times, (0, 0.0))
            print(entry_line(entry, max(0.0, at - run.created) if last else None))


async def _export(log: RunLog, summary: Summary, path: Path) -> None:
    # Beside it first, so that a recording is whole or not there.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    lines = 0
    try:
        with partial.open("xb") as file:
            async for line in record_lines(log, summary.run):
                file.write(line)
                lines += 1
        partial.replace(path)
    except OSError as error:
        raise RiverrunError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            partial.unlink()
    print(f"Recorded {lines - 1} events of run {summary.run.id} in {path}.")
    if not summary.ended:
        print("It had not ended: a replay of it ends as interrupted.")


if __name__ == "__main__":
    sys.exit(main())
