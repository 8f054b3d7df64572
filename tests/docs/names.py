"""What the code calls its things: the names of every module, read from the source."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Where the packages are counted one by one.
PACKAGES = (
    *sorted(f"services/{path.parent.name}" for path in (ROOT / "services").glob("*/__init__.py")),
    "services",
    "emulator",
    "clients/python",
    "deploy",
    "fakes",
    "functions",
    "benchmarks",
    "examples",
    "tests",
)


def split_words(text: str) -> frozenset[str]:
    """A set of words, from a text that is easy to add to."""
    return frozenset(text.split())


# Nouns of the field, of Python or of the plan of the house that end like a gerund, and verbs.
NOUNS_AND_VERBS = split_words(
    """
    answering anything bed billing bring bytecode ceiling embed embedding encoding everything
    exceed feed formatting grounding heading ingest king mapping need nothing opening pacing
    packing ping pricing proceed read recording recordings ring seed setting settings shed sibling
    sling speed spelling spring streaming string succeed swing thing tuning warning wing wiring
    wording
    """
)
# What the standard library calls the same thing; a wrapper has to call it so too.
STANDARD_LIBRARY = frozenset({"done", "closed", "cancelled"})
IRREGULAR = split_words(
    """
    begun bent blown born borne bought bound broken brought built caught chosen dealt done drawn
    driven drunk eaten fallen felt fled flown forgotten fought found frozen given gone grown
    handed heard held hidden hung kept known laid led left lent lit lost made meant met mistaken
    paid proven risen said seen sent shaken shown shrunk slept sold sought sown spent spoken spun
    stolen stood struck stuck sung sunk swept sworn taken taught thought thrown told torn
    understood wept withdrawn woken won worn wound woven written
    """
)
# What may stand behind a participle without making it the name of a thing.
PARTICLES = split_words(
    """
    about after again ahead all alone along apart aside at away back before behind by down for
    forth from here in into it of off on once only out over so there through to together too under
    up upon with without yet
    """
)


LOOKED_AT = (
    *(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef),
    *(ast.Import, ast.ImportFrom, ast.Attribute),
)


@dataclass(frozen=True, slots=True)
class Name:
    """One name and where it is defined."""

    package: str
    path: str
    line: int
    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}"


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """What a file defines, imports and takes of what it imported, at any depth: walked once."""
    return tuple(node for node in ast.walk(parse(path)) if isinstance(node, LOOKED_AT))


def package_of(path: Path) -> str:
    """The package a file is counted in: the longest folder of `PACKAGES` that it is under."""
    relative = path.relative_to(ROOT).as_posix()
    return max((one for one in PACKAGES if relative.startswith(f"{one}/")), key=len)


@cache
def source_files() -> tuple[Path, ...]:
    """Every Python file that is ours."""
    roots = {name.partition("/")[0] for name in PACKAGES}
    return tuple(
        path
        for root in sorted(roots)
        for path in sorted((ROOT / root).rglob("*.py"))
        if not {"node_modules", "__pycache__", "build", ".venv"} & set(path.parts)
    )


@cache
def names() -> tuple[Name, ...]:
    """Every function, method, class and module; what a test is called is a sentence, no name."""
    return tuple(_names())


def _names() -> Iterator[Name]:
    for path in source_files():
        package, place = package_of(path), path.relative_to(ROOT).as_posix()
        stem = path.parent.name if path.stem in {"__init__", "__main__"} else path.stem
        if path.stem == "__init__" or not path.stem.startswith("__"):
            yield Name(package, place, 1, stem, "module")
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                yield Name(package, place, node.lineno, node.name, "class")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                is_test = package == "tests" and node.name.startswith("test_")
                if not is_test and not node.name.startswith("__"):
                    yield Name(package, place, node.lineno, node.name, "function")


def split_name(name: str) -> list[str]:
    """`RunTask`, `_run_task` and `RUN_TASK` are run and task."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip("_"))
    return [word.lower() for word in spaced.split("_") if word]


def is_participle(word: str) -> bool:
    if word in NOUNS_AND_VERBS:
        return False
    if word.endswith("ing") or word in IRREGULAR or word.removeprefix("un") in IRREGULAR:
        return True
    return word.endswith("ed")


def is_bare_participle(name: str) -> bool:
    """A participle or a gerund that names no thing: `heard`, `handed_back`, `Reading`."""
    first, *rest = split_name(name) or [""]
    if name in STANDARD_LIBRARY or not is_participle(first):
        return False
    return all(word in PARTICLES for word in rest)
