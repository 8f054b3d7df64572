"""Which of our files a deployed function can reach: by its imports, from its handler on.

What nothing imports is a stray: a copy, a note, a key that lies in the wrong folder. It is not left
out in silence, since it may be missed, nor let in, since it may be secret: the build stops.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from services.errors import SetupError

_RELATIVE = re.compile(r"\.?[a-z_][a-z0-9_.]*")
_STARTED = re.compile(r"\s-m\s+([\w.]+)")


def reach(files: Mapping[str, Path], entries: Iterable[str]) -> set[str]:
    """Name the modules among `files` that `entries` import, at once or later, and their data.

    A file that is no module counts when a module that is reached names it.
    """
    reached: set[str] = set()
    named: set[str] = set()
    waiting = [name for name in entries if name in files]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        tree = _parse(name, files[name])
        named |= {str(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        own = name.removesuffix(".py").replace("/", ".")
        for module in (own, *_imports(tree, name), *_imports_by_name(tree, name)):
            waiting += [file for file in _files_of(module) if file in files]
    data = {name for name in files if not name.endswith(".py")}
    return reached | {name for name in data if PurePosixPath(name).name in named}


def entries_of(files: Mapping[str, Path], bootstrap: str) -> set[str]:
    """Name where a function begins: the files with a handler, and what `bootstrap` starts."""
    found = {
        name
        for name, path in files.items()
        if name.startswith("functions/") and name.count("/") == 1 and _has_handler(name, path)
    }
    for module in _STARTED.findall(bootstrap):
        found |= {*_files_of(f"{module}.__main__"), *_files_of(module)}
    return found


def check_strays(files: Collection[str], reached: Collection[str]) -> None:
    """Raise `SetupError` for files that nothing reaches."""
    if strays := sorted(set(files) - set(reached)):
        raise SetupError(
            f"Nothing that is deployed, and no command, uses {', '.join(strays[:5])}"
            f"{' and more' if len(strays) > 5 else ''}. Delete it, or move it out of the folders "
            "that are shipped."
        )


def _imports(tree: ast.Module, name: str) -> Iterator[str]:
    package = PurePosixPath(name).parent.as_posix().split("/")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _imports_by_name(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield what `import_module` may import: each module beside or below that the file names."""
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    if not any("import_module" in ast.dump(function) for function in called):
        return
    package = ".".join(PurePosixPath(name).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and _RELATIVE.fullmatch(str(node.value)):
            yield f"{package}.{str(node.value).lstrip('.')}"


def _files_of(module: str) -> Iterator[str]:
    """Name the file of a module, and those of the packages around it."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        yield "/".join([*parts[:count], "__init__.py"])
    yield f"{'/'.join(parts)}.py"


def _has_handler(name: str, path: Path) -> bool:
    return name.endswith(".py") and any(
        isinstance(node, ast.Assign | ast.FunctionDef | ast.AsyncFunctionDef)
        and "handler" in _bound_names(node)
        for node in _parse(name, path).body
    )


def _bound_names(node: ast.Assign | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {node.name}


def _parse(name: str, path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), name)
    except (SyntaxError, ValueError) as error:
        raise SetupError(f"{name} is not Python: {error}.") from error
