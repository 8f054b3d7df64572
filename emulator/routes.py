"""Which route of an API a request takes: the most exact one.

`{name}` is one segment, `{name+}` the rest. Knows nothing of functions or payloads.
"""

import re
from collections.abc import Sequence
from functools import cache
from urllib.parse import unquote

from emulator.template import Route

_PARAMETER = re.compile(r"\{([^{}+]+)(\+?)\}")


def find_route(
    routes: Sequence[Route], method: str, path: str
) -> tuple[Route, dict[str, str]] | None:
    """The route for a path as it was sent, with its decoded parameters; None without one.

    Literal segments win over parameters, parameters over `{name+}`, a named method over ANY.
    """
    found: list[tuple[tuple[int, int, int], Route, dict[str, str]]] = []
    for route in routes:
        if route.method not in (method, "ANY", "*"):
            continue
        match = _pattern(route.path).fullmatch(path.rstrip("/") or "/")
        if match:
            rank = (_looseness(route.path), -len(route.path), route.method in ("ANY", "*"))
            found.append((rank, route, {n: unquote(v) for n, v in match.groupdict().items()}))
    if not found:
        return None
    _, route, parameters = min(found, key=lambda item: item[0])
    return route, parameters


def has_parameters(route: Route) -> bool:
    """Whether a route takes more than one path."""
    return _looseness(route.path) > 0


def _looseness(path: str) -> int:
    if path == "$default":
        return 1000
    kinds = [parameter[2] for parameter in _PARAMETER.finditer(path)]
    return sum(100 if greedy else 1 for greedy in kinds)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    if path == "$default":
        return re.compile(r".*")
    text, position = "", 0
    for parameter in _PARAMETER.finditer(path):
        text += re.escape(path[position : parameter.start()])
        name = re.sub(r"\W", "_", parameter[1])
        text += f"(?P<{name}>.+)" if parameter[2] else f"(?P<{name}>[^/]+)"
        position = parameter.end()
    return re.compile((text + re.escape(path[position:])).rstrip("/") or "/")
