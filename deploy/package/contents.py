"""What belongs in a package: of our own files what a function reaches, of libraries the needed.

Knows nothing of zips or of where libraries come from.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from deploy.package.reach import check_strays, entries_of, reach
from services.errors import SetupError

BOOTSTRAP = "bootstrap"
# What a Web Function loads.
MAIN = "main.py"
INDEX = "knowledge/index"
FOLDERS = ("functions", "services")
FOLDERS_PREFIXES = tuple(f"{folder}/" for folder in FOLDERS)
OWN_SUFFIXES = frozenset({".py", ".txt", ".json"})

# Used by tests and documents alone.
UNUSED = frozenset({"services/streaming/schema.py"})

# The services that our code asks botocore for. The other four hundred descriptions are most of
# its 30 MB.
AWS_SERVICES = frozenset({"bedrock-runtime", "dynamodb", "s3", "s3vectors", "sts"})

# Parts of libraries that no function imports. The real package is started without them, under
# both profiles, before this list changes (docs/deploying.md says how).
_UNUSED = (
    "bin",
    "boto3/data",
    "boto3/examples",
    "numpy/f2py",
    "numpy/_pyinstaller",
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
)
_UNUSED_PARTS = frozenset({"tests", "__pycache__"})
_UNUSED_SUFFIXES = (".pyc", ".pyi", ".pyx", ".pxd", ".h", ".hpp", ".c", ".lib", ".a")
# Of a library's metadata stay its name, its entry points and its licence; the rest describes an
# installation that no longer is one.
_NOTES = frozenset({"METADATA", "entry_points.txt", "licenses"})
_LEGAL = ("LICEN", "NOTICE", "COPYING", "AUTHORS")


def own_files(root: Path, index: Path | None = None) -> dict[str, Path]:
    """Our own files by their name in the package.

    Raises `SetupError` for what is missing and for a file of a kind that we never ship: left
    out in silence it would be missed in the cloud, let in it might be a key.
    """
    found: dict[str, Path] = {
        "LICENSE": root / "LICENSE",
        BOOTSTRAP: root / BOOTSTRAP,
        MAIN: root / MAIN,
    }
    for folder in FOLDERS:
        for name, path in _walk(root / folder, folder):
            if path.suffix not in OWN_SUFFIXES:
                raise SetupError(
                    f"{name} is not shipped: only {', '.join(sorted(OWN_SUFFIXES))} files are. "
                    "Move it, or allow its kind in deploy/package/contents.py."
                )
            found[name] = path
    found.update(_walk(index or root / INDEX, INDEX))
    for name, path in found.items():
        if not path.is_file():
            raise SetupError(f"{path} is missing; a package cannot be made without {name}.")
    return _only_deployed(found)


def _only_deployed(files: dict[str, Path]) -> dict[str, Path]:
    """Keep what a function can reach; leave out what only a command of a laptop does.

    Raises `SetupError` for what neither uses.
    """
    bootstrap = files[BOOTSTRAP]
    _check_bootstrap(bootstrap)
    own = {n: path for n, path in files.items() if n == MAIN or n.startswith(FOLDERS_PREFIXES)}
    deployed = reach(own, {MAIN, *entries_of(own, bootstrap.read_text("utf-8"))})
    commands = reach(own, [name for name in own if name.endswith("__main__.py")])
    check_strays(own, deployed | commands | UNUSED)
    return {name: path for name, path in files.items() if name not in own or name in deployed}


def library_files(folder: Path) -> dict[str, Path]:
    """The files of installed libraries that a function can need, by their name in the package."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: path for name, path in found.items() if path.is_file() and _is_used(name)}


def stage(own: Mapping[str, Path], libraries: Mapping[str, Path], target: Path) -> None:
    """Copy both into `target`. Raises `SetupError` where they would overwrite each other."""
    both = sorted(set(own) & set(libraries))
    if both:
        raise SetupError(f"A library brings its own {both[0]}.")
    for name, path in {**own, **libraries}.items():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        raise SetupError(f"{folder} is missing; a package cannot be made without {prefix}.")
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__")
        for file in sorted(files):
            path = Path(place, file)
            name = f"{prefix}/{path.relative_to(folder).as_posix()}"
            if path.is_symlink():
                raise SetupError(f"{name} is a link; a package holds files only.")
            if not file.startswith(".") and path.suffix != ".pyc":
                yield name, path
        for inner in folders:
            if Path(place, inner).is_symlink():
                raise SetupError(f"{Path(place, inner)} is a link; a package holds files only.")


def _check_bootstrap(path: Path) -> None:
    script = path.read_bytes()
    if not script.startswith(b"#!") or b"\r" in script:
        raise SetupError(
            f"{path} must start with #! and end its lines with LF alone, or Lambda cannot run it."
        )


def _is_used(name: str) -> bool:
    path = PurePosixPath(name)
    if any(name == unused or name.startswith(f"{unused}/") for unused in _UNUSED):
        return False
    if name.startswith("botocore/data/") and len(path.parts) > 3:
        return path.parts[2] in AWS_SERVICES
    if path.parts[0].endswith(".dist-info"):
        return path.parts[1] in _NOTES or path.parts[1].upper().startswith(_LEGAL)
    hidden = any(part.startswith(".") for part in path.parts)
    unused = bool(_UNUSED_PARTS & set(path.parts)) or path.suffix in _UNUSED_SUFFIXES
    return not hidden and not unused
