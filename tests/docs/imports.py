"""Who imports whom, lazily or not, read from the source."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.docs.names import ROOT, nodes, source_files


@dataclass(frozen=True, slots=True)
class Graph:
    """`edges` from a module to those it imports; `taken`: the names others take from a module."""

    modules: dict[str, Path] = field(default_factory=dict)
    edges: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    taken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[2:] if parts[:2] == ("clients", "python") else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def read_graph() -> Graph:
    """The imports of every file that is ours."""
    graph = Graph({module_name(path): path for path in source_files()})
    for name, path in graph.modules.items():
        aliases: dict[str, str] = {}
        for base, target, alias in _imports(name, path):
            whole = f"{base}.{target}" if target else base
            if whole in graph.modules:
                graph.edges[name].add(whole)
                aliases[alias] = whole
            elif base in graph.modules:
                graph.edges[name].add(base)
                graph.taken[base].add(target)
        for node in nodes(path):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                graph.taken[aliases.get(node.value.id, "")].add(node.attr)
    return graph


def _imports(name: str, path: Path) -> Iterator[tuple[str, str, str]]:
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from ((base, alias.name, alias.asname or alias.name) for alias in node.names)


def find_circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in edges.get(module, ()):
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                circles.append(sorted(stack[at:]))
            del stack[at:]

    for module in list(edges):
        if module not in order:
            visit(module)
    return circles
