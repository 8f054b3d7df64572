"""CloudFormation's YAML: short tags, parameters, and what cannot be known on a laptop.

A value that depends on a resource is None here: its table or bucket exists only in the cloud.
Knows nothing of functions.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types; types-PyYAML is not a dependency

ACCOUNT = "123456789012"
REGION = "us-east-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::StackName": "local",
    "AWS::URLSuffix": "amazonaws.com",
}

NO_VALUE = {"Ref": "AWS::NoValue"}

# A dynamic reference, "{{resolve:secretsmanager:...}}": only a deployment looks it up.
_DYNAMIC = "{{resolve:"
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


class EmulatorSetupError(Exception):
    """The emulator cannot start; the message is the one line a person needs."""


# libyaml's parser where PyYAML was built with it: a template is read in a tenth of the time.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # see the import
    """SafeLoader that keeps `!Sub x` as {"Fn::Sub": x}."""


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_tag)


@dataclass(frozen=True, slots=True)
class Stack:
    """A template's document, and the values of its parameters."""

    document: Mapping[str, Any]
    parameters: Mapping[str, str]

    def text(self, value: object) -> str | None:
        """A property as text; None when it is absent or only the cloud knows it."""
        match self.choose(value):
            case bool() as truth:
                return str(truth).lower()
            case (str() | int() | float()) as literal:
                return None if _DYNAMIC in str(literal) else str(literal)
            case {"Ref": name}:
                return self._resolve(str(name))
            case {"Fn::Sub": text}:
                return self._substitute(text)
            case {"Fn::Join": [separator, [*parts]]}:
                return self._join(str(separator), parts)
            case _:
                return None

    def choose(self, value: object) -> object:
        """The branch that `Fn::If` takes; any other value as it is."""
        match value:
            case {"Fn::If": [name, then, otherwise]}:
                holds = self._holds({"Condition": name})
                return None if holds is None else self.choose(then if holds else otherwise)
            case _:
                return value

    def resources(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The resources of a kind and their properties, less those whose condition fails."""
        for logical_id, resource in as_mapping(self.document.get("Resources")).items():
            if not isinstance(resource, dict) or resource.get("Type") != kind:
                continue
            condition = resource.get("Condition")
            if condition is None or self._holds({"Condition": condition}) is not False:
                yield logical_id, as_mapping(resource.get("Properties"))

    def is_absent(self, value: object) -> bool:
        """Whether the template says, here and now, that there is no such property."""
        return self.choose(value) == NO_VALUE

    def _holds(self, condition: object) -> bool | None:
        """Whether a condition holds; None when only the cloud knows."""
        match condition:
            case {"Condition": name}:
                conditions = self.document.get("Conditions") or {}
                return self._holds(conditions.get(name))
            case {"Fn::Equals": [left, right]}:
                texts = (self.text(left), self.text(right))
                return None if None in texts else texts[0] == texts[1]
            case {"Fn::Not": [inner]}:
                holds = self._holds(inner)
                return None if holds is None else not holds
            case {"Fn::And": [*parts]}:
                held = [self._holds(part) for part in parts]
                return False if False in held else None if None in held else True
            case {"Fn::Or": [*parts]}:
                held = [self._holds(part) for part in parts]
                return True if True in held else None if None in held else False
            case _:
                return None

    def number(self, value: object, default: float) -> float:
        """A property as a number. Raises `EmulatorSetupError` when it is something else."""
        text = self.text(value)
        if text is None:
            return default
        try:
            return float(text)
        except ValueError:
            raise EmulatorSetupError(f"The template says {text!r} where a number is due.") from None

    def _join(self, separator: str, parts: list[object]) -> str | None:
        texts = [self.text(part) for part in parts]
        return None if None in texts else separator.join(text or "" for text in texts)

    def _resolve(self, name: str) -> str | None:
        return self.parameters.get(name, PSEUDO.get(name))

    def _substitute(self, value: object) -> str | None:
        extra: Mapping[str, object] = {}
        text = value
        if isinstance(value, list) and len(value) == 2:
            text, extra = value
        known = True

        def put(match: re.Match[str]) -> str:
            nonlocal known
            if match[1]:  # ${!Literal}
                return f"${{{match[2]}}}"
            found = self.text(extra[match[2]]) if match[2] in extra else self._resolve(match[2])
            known = known and found is not None
            return found or ""

        result = _PLACEHOLDER.sub(put, str(text))
        return result if known and _DYNAMIC not in result else None


def read_environment(
    stack: Stack, variables: Mapping[str, Any], notes: list[str]
) -> dict[str, str]:
    """Read a function's variables; what only the cloud knows is left out, and said."""
    kept: dict[str, str] = {}
    for name, value in variables.items():
        text = stack.text(value)
        if stack.is_absent(value):
            continue
        if text is None:
            notes.append(f"{name} names a resource that is only in the cloud; left unset.")
        else:
            kept[name] = text
    return kept


def as_mapping(value: object) -> dict[str, Any]:
    """A mapping as it is; nothing for anything else."""
    return value if isinstance(value, dict) else {}


def load(path: Path, chosen: Mapping[str, str] | None = None) -> Stack:
    """Read a template; parameters that are not `chosen` take their defaults.

    Raises `EmulatorSetupError`.
    """
    try:
        document = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise EmulatorSetupError(f"There is no {path}. Say where it is with --template.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = str(error).replace("\n", " ")
        raise EmulatorSetupError(f"{path} cannot be read: {line}") from error
    if not isinstance(document, dict):
        raise EmulatorSetupError(f"{path} is not a CloudFormation template.")
    parameters = {
        name: str(parameter["Default"])
        for name, parameter in (document.get("Parameters") or {}).items()
        if isinstance(parameter, dict) and "Default" in parameter
    }
    if unknown := sorted(set(chosen or {}) - set(document.get("Parameters") or {})):
        raise EmulatorSetupError(f"{path} has no parameter {unknown[0]}.")
    return Stack(document, {**parameters, **(chosen or {})})
