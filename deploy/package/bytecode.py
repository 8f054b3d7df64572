"""Bytecode for the function's own Python, checked against nothing when it is loaded.

/var/task cannot be written, so without it every cold start compiles every module again. Only
the same Python version can make it: where this machine has none, sources travel alone.
"""

import shutil
import subprocess
from pathlib import Path

from services.errors import SetupError

TASK_ROOT = "/var/task"

# One process, one order: what a marshalled constant shares depends on what was loaded before.
_COMPILE = """
import py_compile, sys
from pathlib import Path
stage, root = Path(sys.argv[1]), sys.argv[2]
for path in sorted(stage.rglob("*.py")):
    name = path.relative_to(stage).as_posix()
    try:
        py_compile.compile(
            str(path), dfile=f"{root}/{name}", doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError as error:
        if name.startswith(("functions/", "services/")):
            sys.exit(f"{name}: {error.exc_value}")
    else:
        print(name)
"""


def find_interpreter(python: str, given: str | None = None) -> str | None:
    """An interpreter of this version: `given`, or one on the PATH; None when there is none.

    Raises `SetupError` when `given` is of another version.
    """
    if given is not None:
        found = _version(given)
        if found != python:
            raise SetupError(f"{given} is Python {found or 'of no version'}; {python} is wanted.")
        return given
    candidate = shutil.which(f"python{python}")
    return candidate if candidate and _version(candidate) == python else None


def compile_all(stage: Path, interpreter: str) -> int:
    """Compile every module below `stage`; returns how many.

    Raises `SetupError` for one of ours that does not compile. A library may bring templates
    that never were Python.
    """
    done = subprocess.run(  # noqa: S603 (an interpreter that was asked for its version)
        [interpreter, "-I", "-S", "-W", "ignore", "-c", _COMPILE, str(stage), TASK_ROOT],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONHASHSEED": "0"},
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()[-30:])
        raise SetupError(f"The package does not compile: {said}")
    return len(done.stdout.splitlines())


def _version(interpreter: str) -> str:
    say = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    try:
        done = subprocess.run(  # noqa: S603 (the person named it, or the PATH did)
            [interpreter, "-I", "-S", "-c", say], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    version, _, name = done.stdout.strip().partition(" ")
    return version if name == "cpython" else ""
