"""Faults on request: which, where, how often.

A fault is data. Rules come from a file or the admin endpoint; each request takes those that
match it. What a fault does to bytes is in `emulator.stages`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from emulator.cloudformation import EmulatorSetupError
from emulator.json_input import parse_json

KINDS = {
    "cut": "close after `at` bytes of the body, without the last chunk",
    "reset": "the same with a TCP reset",
    "stall": "stay silent for `seconds` after `at` bytes",
    "split": "send pieces of `size` bytes, each a write of its own",
    "coalesce": "hold bytes back until `size` have come, or the end",
    "throttle": "`burst` bytes at once, then `rate` bytes a second",
    "idle": "cut when the function is silent for `seconds`",
    "freeze": "SIGSTOP the sandbox after `at` bytes; `seconds` later SIGCONT (0: never)",
    "kill": "SIGKILL the sandbox after `at` bytes",
    "duplicate": "deliver the invocation twice, under one request id",
    "refuse": "answer `status` (0: reset) to the client, or to the runtime's `to` request",
}
TARGETS = ("front", "next", "response", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. `function`, `front` and `path` are globs; `times` None means always.

    The first `skip` matches are spared. Sizes are bytes of the HTTP body as the client gets
    it, times are seconds.
    """

    kind: str
    at: int = 0
    seconds: float = 0.0
    size: int = 1
    burst: int = 6 * 1024 * 1024
    rate: float = 2.0 * 1024 * 1024
    status: int = 503
    to: str = "front"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    function: str = "*"
    front: str = "*"
    path: str = "*"
    times: int | None = 1
    skip: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise EmulatorSetupError(
                f"No fault is called {self.kind!r}. Known: {', '.join(KINDS)}."
            )
        if self.to not in TARGETS:
            raise EmulatorSetupError(f"`to` is one of {', '.join(TARGETS)}, not {self.to!r}.")
        if min(self.at, self.seconds, self.skip, self.burst, self.status) < 0 or (
            min(self.size, self.rate) <= 0
        ):
            raise EmulatorSetupError(f"A number of the fault {self.kind!r} is out of range.")


@dataclass(slots=True)
class _Rule:
    fault: Fault
    met: int = 0

    @property
    def is_spent(self) -> bool:
        times = self.fault.times
        return times is not None and self.met >= self.fault.skip + times

    def strike(self) -> bool:
        self.met += 1
        return self.met > self.fault.skip


class Faults:
    """The rules in force, and how often each was met."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._rules = [_Rule(fault) for fault in faults]

    def add(self, faults: Iterable[Fault]) -> None:
        """More rules, after those in force."""
        self._rules.extend(_Rule(fault) for fault in faults)

    def clear(self) -> None:
        """No more faults; requests under way keep theirs."""
        self._rules.clear()

    def take(self, *, front: str, function: str, path: str) -> tuple[Fault, ...]:
        """The faults that strike this request."""
        return tuple(
            rule.fault
            for rule in self._rules
            if rule.fault.to == "front"
            and not rule.is_spent
            and fnmatchcase(front, rule.fault.front)
            and fnmatchcase(function, rule.fault.function)
            and fnmatchcase(path, rule.fault.path)
            and rule.strike()
        )

    def refusal(self, function: str, to: str) -> int | None:
        """The status to refuse a runtime's request with, 0 for a reset; None to serve it."""
        for rule in self._rules:
            fault = rule.fault
            meant = fault.kind == "refuse" and fault.to == to and not rule.is_spent
            if meant and fnmatchcase(function, fault.function) and rule.strike():
                return fault.status
        return None

    def list_rules(self) -> list[dict[str, Any]]:
        """The rules as JSON, each with `met`: how many requests it matched."""
        return [
            {f.name: getattr(rule.fault, f.name) for f in fields(Fault)} | {"met": rule.met}
            for rule in self._rules
        ]


def read_faults(path: Path) -> list[Fault]:
    """The rules of a JSON file. Raises `EmulatorSetupError`."""
    try:
        return parse_faults(path.read_bytes())
    except OSError as error:
        raise EmulatorSetupError(f"{path} cannot be read: {error.strerror}.") from error
    except EmulatorSetupError as error:
        raise EmulatorSetupError(f"{path}: {error}") from error


def parse_faults(text: bytes) -> list[Fault]:
    """Rules from JSON: one object, a list, or {"faults": list}. Raises `EmulatorSetupError`."""
    try:
        document = parse_json(text)
    except ValueError as error:
        raise EmulatorSetupError(f"The faults are not JSON: {error}") from error
    if isinstance(document, dict) and "faults" in document:
        document = document["faults"]
    return [_fault(item) for item in (document if isinstance(document, list) else [document])]


_ACCEPTED: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "at": (int,),
    "seconds": (int, float),
    "size": (int,),
    "burst": (int,),
    "rate": (int, float),
    "status": (int,),
    "to": (str,),
    "headers": (dict,),
    "body": (str,),
    "function": (str,),
    "front": (str,),
    "path": (str,),
    "times": (int, type(None)),
    "skip": (int,),
}


def _fault(item: object) -> Fault:
    if not isinstance(item, dict):
        raise EmulatorSetupError('A fault is an object such as {"kind": "cut", "at": 100}.')
    for name, value in item.items():
        types = _ACCEPTED.get(name)
        if types is None:
            raise EmulatorSetupError(f"A fault has no {name!r}. It has: {', '.join(_ACCEPTED)}.")
        if not isinstance(value, types) or isinstance(value, bool):
            raise EmulatorSetupError(f"{name!r} of a fault cannot be {json.dumps(value)}.")
    if "kind" not in item:
        raise EmulatorSetupError(f"A fault needs its `kind`: one of {', '.join(KINDS)}.")
    return Fault(**item)
