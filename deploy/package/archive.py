"""A folder as a zip whose bytes depend on nothing but names, contents and zlib.

Entries sorted, one fixed time, one owner's modes, no directories. Another build of zlib may
compress otherwise: equal bytes are promised on the same interpreter.
"""

import os
import shutil
import zipfile
from pathlib import Path

# Names that Lambda or the loader runs. Anything else is read.
_EXECUTABLE = frozenset({"bootstrap"})
_UNIX = 3
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name


def write_archive(folder: Path, target: Path) -> None:
    """Write every file below `folder` to the zip `target`."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
        for name in sorted(paths, key=str.encode):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.create_system = _UNIX
            entry.external_attr = (0o100755 if name in _EXECUTABLE else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, paths[name].read_bytes())


def put(fresh: Path, target: Path) -> None:
    """Move a finished file to where it is wanted, whole: also across file systems."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(fresh, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
