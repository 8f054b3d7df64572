"""The cold start on every Python that `.ci/pythons` tests on, this one included.

`python -m benchmarks.pythons` prints the table. An environment that is not in the cache has a row
that says so.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import contenders as of
from benchmarks import plain, processes
from benchmarks.contenders import Contender
from benchmarks.figures import Figures
from benchmarks.table import Table

STARTS = 7
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
HERE = "{}.{}".format(*sys.version_info)


def tables() -> list[Table]:
    """One table: milliseconds and processor time to the first `/next`, by Python."""
    chat = {version: _run_on(version, of.CHAT) for version in VERSIONS}
    bare = {version: _run_on(version, of.BARE) for version in VERSIONS}
    figures = Figures()
    for number in range(STARTS + 1):
        for one in of.present((*chat.values(), *bare.values())):
            with plain.start_contender(one) as (_, group, milliseconds):
                if number:  # the first writes the .pyc files and fills the page cache
                    figures.add("start", one, milliseconds)
                    figures.add("start cpu", one, processes.cpu_seconds(group) * 1000)
    return [
        Table(
            "Cold start, by Python",
            "Milliseconds from the start of the process to its first `/next`, with `.pyc` files, "
            f"median of {STARTS}, in turns; and the processor time in them. 3.14 is the Python "
            "that is deployed; here it is the Debian build.",
            ("Python", "bare ASGI, ms", "functions/chat.py, ms", "functions/chat.py, CPU ms"),
            [_row(version, bare[version], chat[version], figures) for version in VERSIONS],
        )
    ]


def _row(version: str, bare: Contender, chat: Contender, figures: Figures) -> tuple[str, ...]:
    if chat.missing:
        return (version, chat.missing, "", "")
    return (
        version,
        figures.format_median("start", bare),
        figures.format_median("start", chat),
        figures.format_median("start cpu", chat),
    )


def _run_on(version: str, one: Contender) -> Contender:
    """The same program under another Python, of the environment that `.ci/pythons` keeps."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "riverrun/pythons"
    python, debian = cache / version / "bin/python", cache / "debian"
    if version == HERE:
        return replace(one)
    if python.is_file():
        return replace(one, command=(str(python), *one.command[1:]))
    packages = debian / "venv/lib" / f"python{version}" / "site-packages"
    loaders = [*debian.glob("lib64/ld-linux-*.so.*"), *debian.glob("lib/ld-linux-*.so.*")]
    if not packages.is_dir() or not loaders:
        return replace(one, missing=f"no Python {version} in the cache: run .ci/pythons")
    # A folder's program outside its folder: by the folder's own loader and libraries.
    libraries = ":".join(str(place) for place in debian.glob("usr/lib/*-linux-gnu"))
    program = str(debian / f"usr/bin/python{version}")
    return replace(
        one,
        command=(str(loaders[0]), "--library-path", libraries, program, *one.command[1:]),
        environ={**one.environ, "PYTHONHOME": str(debian / "usr"), "PYTHONPATH": str(packages)},
    )


def main() -> None:
    """Print it."""
    for table in tables():
        print(table.markdown())


if __name__ == "__main__":
    main()
