"""Reading `template.yaml`, and resolving it as CloudFormation would for given parameters.

A value that only the cloud knows stays the intrinsic function it is. Knows nothing of what a
good template looks like (deploy.policy) nor of packages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types; its stubs are not a dependency

from services.errors import SetupError

_GONE = object()


# libyaml's parser where PyYAML was built with it: a template is read in a tenth of the time.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # see the import
    """SafeLoader that reads `!Sub x` as `{"Fn::Sub": x}` and refuses a key that is there twice."""


def _short(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = _mapping(loader, node)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    # YAML keeps the last of two equal keys in silence: a second one would hide the first.
    seen: set[Any] = set()
    for key, _ in node.value:
        if key.value in seen:
            raise SetupError(f"{key.value!r} is there twice (line {key.start_mark.line + 1}).")
        seen.add(key.value)
    found: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return found


_Loader.add_multi_constructor("!", _short)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
# `Version: 2012-10-17` is text to CloudFormation, not a date.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_str)


@dataclass(frozen=True, slots=True)
class Stack:
    """A template under one choice of parameters.

    `resources` holds those whose condition holds, with `Globals` merged into functions and APIs
    as SAM merges them, `Ref` of parameters and `Fn::If` resolved. `by_default` is true for the
    stack of a deploy that says nothing.
    """

    resources: Mapping[str, Mapping[str, Any]]
    by_default: bool

    def of(self, *kinds: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Logical id and properties of every resource of these types."""
        for name, resource in self.resources.items():
            if resource.get("Type") in kinds:
                yield name, mapping(resource.get("Properties"))


def read_template(path: Path) -> dict[str, Any]:
    """Read a template. Raises `SetupError` with one line that says what to mend."""
    try:
        return parse_template(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SetupError(f"There is no {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read.") from error


def parse_template(text: str) -> dict[str, Any]:
    """Read the text of a template. Raises `SetupError`."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise SetupError(f"The template is not YAML: {line}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise SetupError("This is not a CloudFormation template: it has no Resources.")
    return document


def defaults(document: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a deploy that says nothing."""
    return {
        name: str(parameter["Default"])
        for name, parameter in mapping(document.get("Parameters")).items()
        if isinstance(parameter, dict) and "Default" in parameter
    }


def choices(document: Mapping[str, Any], limit: int = 6) -> Iterator[dict[str, str]]:
    """Every combination of the parameters that offer at most `limit` values; defaults first.

    Each twice: with the texts that are empty by default, and with a word in all of them.
    """
    base = defaults(document)
    yield base
    said = {name: value or "said" for name, value in base.items()}
    offered = {
        name: [str(value) for value in parameter["AllowedValues"]]
        for name, parameter in mapping(document.get("Parameters")).items()
        if isinstance(parameter, dict) and 2 <= len(parameter.get("AllowedValues", ())) <= limit
    }
    for texts, values in product((base, said), product(*offered.values())):
        chosen = {**texts, **dict(zip(offered, values, strict=True))}
        if chosen != base:
            yield chosen


def resolve(document: Mapping[str, Any], parameters: Mapping[str, str]) -> Stack:
    """The stack that CloudFormation would make of a template for `parameters`.

    Raises `SetupError` for a condition that cannot be decided.
    """
    choice = _Choice(parameters, mapping(document.get("Conditions")))
    shared = mapping(document.get("Globals"))
    resources = {}
    for name, resource in document["Resources"].items():
        if not isinstance(resource, dict):
            raise SetupError(f"The resource {name} has no Type and no Properties.")
        if "Condition" not in resource or choice.holds(resource["Condition"]):
            section = str(resource.get("Type", "")).removeprefix("AWS::Serverless::")
            merged = _merged(shared.get(section, {}), resource.get("Properties", {}))
            resources[name] = choice.resolved({**resource, "Properties": merged})
    return Stack(resources, by_default=parameters == defaults(document))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Parameters, and the conditions that depend on them."""

    parameters: Mapping[str, str]
    conditions: Mapping[str, Any]

    def holds(self, condition: object) -> bool:
        match condition:
            case str(name) | {"Condition": str(name)} if name in self.conditions:
                return self.holds(self.conditions[name])
            case {"Fn::Equals": [one, other]}:
                return str(self.resolved(one)) == str(self.resolved(other))
            case {"Fn::Not": [one]}:
                return not self.holds(one)
            case {"Fn::And": [*all_of]}:
                return all(self.holds(one) for one in all_of)
            case {"Fn::Or": [*any_of]}:
                return any(self.holds(one) for one in any_of)
            case _:
                raise SetupError(f"The condition {condition!r} cannot be decided.")

    def resolved(self, value: Any) -> Any:
        match value:
            case {"Ref": "AWS::NoValue"}:
                return _GONE
            case {"Ref": str(name)} if name in self.parameters:
                return self.parameters[name]
            case {"Fn::If": [condition, one, other]}:
                return self.resolved(one if self.holds(condition) else other)
            case dict():
                pairs = ((key, self.resolved(inner)) for key, inner in value.items())
                return {key: inner for key, inner in pairs if inner is not _GONE}
            case list():
                return [inner for inner in map(self.resolved, value) if inner is not _GONE]
            case _:
                return value


def _merged(shared: object, own: object) -> object:
    """As SAM merges Globals: mappings by key, lists joined, anything else replaced."""
    if isinstance(shared, dict) and isinstance(own, dict):
        if any(str(key).startswith("Fn::") or key == "Ref" for key in (*shared, *own)):
            return own
        both = {key: _merged(shared[key], own[key]) for key in shared if key in own}
        return {**shared, **own, **both}
    if isinstance(shared, list) and isinstance(own, list):
        return [*shared, *own]
    return own


def mapping(value: object) -> dict[str, Any]:
    """`value` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
