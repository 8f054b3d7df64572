"""In development the client is told what went wrong in the code that answers, and where.

Never where strangers ask: an exception's text may hold anything. `RIVERRUN_SHOW_ERRORS` decides.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from traceback import extract_tb

from ...errors import RiverrunError
from ...settings import ROOT
from ..run.stages import Output

LONGEST = 600
HINT = "You see this because RIVERRUN_SHOW_ERRORS is on; the traceback is in the log."


async def show_errors(output: AsyncGenerator[Output, None]) -> AsyncGenerator[Output, None]:
    """Pass on what a producer says; an error of its own is raised in words for its developer."""
    try:
        async with aclosing(output):
            async for said in output:
                yield said
    except RiverrunError:
        raise
    except Exception as error:
        raise RiverrunError(describe_error(error), hint=HINT) from error


def describe_error(error: Exception) -> str:
    """Say what `error` is, and the innermost line of the developer's own code it came from."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    text = f"{type(error).__name__}: {error}"[:LONGEST]
    own = [frame for frame in extract_tb(error.__traceback__) if _is_own(Path(frame.filename))]
    if not own:
        return text
    path = Path(own[-1].filename)
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    return f"{text} ({shown}, line {own[-1].lineno})"


def _is_own(path: Path) -> bool:
    installed = (Path(sys.prefix), Path(sys.base_prefix), ROOT / "services")
    return path.is_absolute() and not any(path.is_relative_to(folder) for folder in installed)
