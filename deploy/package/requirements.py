"""Which libraries a package needs, from the lock file, and their files for another machine.

Wheels only, each by its hash; environment markers are read for the target, not for this
machine. uv does the fetching.
"""

import os
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.package.target import Target
from services.errors import SetupError

_NAME = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;\\]+)")
_VIA = re.compile(r"#\s+(?:via\s+)?([A-Za-z0-9][\w.-]*)")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR")
_KEPT_PREFIXES = ("UV_", "HTTP_", "HTTPS_", "NO_", "ALL_", "http_", "https_", "no_", "XDG_")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One pinned library: its name, version, marker ("" for none), who wants it, and its lines."""

    name: str
    version: str
    marker: str
    wanted_by: frozenset[str]
    text: str


def read_lock(path: Path) -> list[Requirement]:
    """Read a lock file with hashes. Raises `SetupError` for a line that is not pinned so."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read. Make it with: make lock") from error
    blocks: list[list[str]] = []
    for line in lines:
        if line[:1].isspace() and blocks:
            blocks[-1].append(line)
        elif line.strip() and not line.startswith("#"):
            blocks.append([line])
    return [_requirement(block, path) for block in blocks]


def select_libraries(
    lock: Sequence[Requirement], *, without: Collection[str], target: Target
) -> list[Requirement]:
    """The libraries for a target, less those in `without` and what only they want."""
    from packaging.markers import default_environment

    known = {requirement.name for requirement in lock}
    if missing := sorted(set(without) - known):
        raise SetupError(f"{missing[0]} is not in the lock file; the profile leaves it out.")
    dropped = set(without)
    while more := {r.name for r in lock if r.name not in dropped and _only_for(r, dropped)}:
        dropped |= more
    environment = {key: str(value) for key, value in default_environment().items()} | {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.0",
        "os_name": "posix",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": "linux",
    }
    return [r for r in lock if r.name not in dropped and _applies(r, environment)]


def install(
    libraries: Sequence[Requirement],
    folder: Path,
    *,
    target: Target,
    environ: Mapping[str, str],
) -> None:
    """Unpack the wheels of `libraries` for `target` into `folder`.

    `environ` is added to what uv sees. Raises `SetupError` with uv's own last line.
    """
    folder.mkdir(parents=True)
    if not libraries:
        return
    chosen = folder.with_name("chosen.txt")
    chosen.write_text("".join(requirement.text for requirement in libraries), "utf-8")
    command = [
        *(_uv(), "pip", "install", "--quiet", "--no-config", "--no-deps", "--link-mode", "copy"),
        *("--only-binary", ":all:", "--require-hashes", "--requirement", str(chosen)),
        *("--python-version", target.python, "--python-platform", target.platform),
        *("--target", str(folder)),
    ]
    # The shell's own virtual environment or PYTHONPATH must not decide what is installed.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    done = subprocess.run(  # noqa: S603 (our own command line)
        command, env={**inherited, **environ}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise SetupError(
            f"The libraries for Python {target.python} on {target.platform} cannot be "
            f"installed: {said}"
        )


def _requirement(block: Sequence[str], path: Path) -> Requirement:
    found = _NAME.match(block[0])
    hashes = [line for line in block if "--hash=sha256:" in line]
    if not found or not hashes:
        raise SetupError(f"{path}: {block[0]!r} is not pinned with a hash. Make it with: make lock")
    vias = [_VIA.search(line) for line in block[1:] if line.lstrip().startswith("#")]
    wanted_by = frozenset(via[1].lower() for via in vias if via and via[1] != "via")
    marker = block[0].partition(";")[2].removesuffix("\\").strip()
    text = "".join(f"{line}\n" for line in block if not line.lstrip().startswith("#"))
    name = re.sub(r"[-_.]+", "-", found[1]).lower()
    return Requirement(name, found[2], marker, wanted_by, text)


def _only_for(requirement: Requirement, dropped: Collection[str]) -> bool:
    return bool(requirement.wanted_by) and requirement.wanted_by <= set(dropped)


def _applies(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    from packaging.markers import InvalidMarker, Marker

    if not requirement.marker:
        return True
    try:
        return Marker(requirement.marker).evaluate(dict(environment))
    except InvalidMarker as error:
        raise SetupError(
            f"{requirement.name}: the marker {requirement.marker!r} is odd."
        ) from error


def _uv() -> str:
    try:
        from uv import find_uv_bin
    except ImportError as error:
        raise SetupError("uv is not installed. Run: make setup-dev") from error
    return find_uv_bin()
