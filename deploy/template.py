"""Reading `template.yaml`, and resolving it as CloudFormation would for given parameters.

A value that only the cloud knows stays the intrinsic function it is. Knows nothing of what a
good template looks like (deploy.policy) nor of packages.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types; its stubs are not a dependency

from services.errors import SetupError

_GONE = object()
_PARAMETER = re.compile(r"\$\{([A-Za-z0-9]+)\}")

# What a text parameter is tried with, as far as its AllowedPattern takes it. The last three are
# what no deployment should be able to choose: a parameter that takes them says so by its stack.
_WORDS = (
    "said",
    "1",
    "https://said.example",
    "arn:aws:bedrock:eu-west-1::foundation-model/said",
    "arn:aws:sns:eu-west-1:123456789012:said",
    "*",
    "arn:aws:bedrock:*::foundation-model/*",
    "http://said.example",
)
_CHOICES = 240


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
    stack of a deploy that says nothing. `document` is the template as it is written.
    """

    resources: Mapping[str, Mapping[str, Any]]
    by_default: bool
    parameters: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)

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


def choices(document: Mapping[str, Any], count: int = _CHOICES) -> Iterator[dict[str, str]]:
    """Yield the defaults, then `count` choices of parameters that CloudFormation would take.

    Drawn from a fixed seed: the same template gives the same choices. Each value is one that its
    parameter offers, its default, an end of its range, or a word that its pattern takes; what the
    template's own `Rules` refuse is left out, so a rule that is missing shows in the stacks.
    """
    base = defaults(document)
    yield base
    offered = {
        name: _values(parameter)
        for name, parameter in mapping(document.get("Parameters")).items()
        if isinstance(parameter, dict)
    }
    draw = random.Random(1)  # noqa: S311 - a sample, not a secret
    given = 0
    for _ in range(count * 40):
        if given == count or not offered:
            return
        # Half of what is chosen stays at its default, or the rules would refuse nearly all.
        chosen = {
            name: base[name] if name in base and draw.random() < 0.5 else draw.choice(values)
            for name, values in offered.items()
        }
        if not broken_rules(document, chosen):
            given += 1
            yield chosen


def _values(parameter: Mapping[str, Any]) -> list[str]:
    found = {str(value) for value in parameter.get("AllowedValues", ())}
    ends = ("Default", "MinValue", "MaxValue")
    found |= {str(parameter[name]) for name in ends if name in parameter}
    if "AllowedValues" not in parameter:
        if parameter.get("Type") == "Number":
            low = float(parameter.get("MinValue", 0))
            high = float(parameter.get("MaxValue", 2**31))
            found |= {str(one) for one in (384, 1536) if low <= one <= high}
        else:
            pattern = re.compile(str(parameter.get("AllowedPattern", ".*")))
            found |= {word for word in ("", *_WORDS) if pattern.fullmatch(word)}
    return sorted(found)


def broken_rules(document: Mapping[str, Any], parameters: Mapping[str, str]) -> set[str]:
    """Name the template's `Rules` that refuse `parameters`, which CloudFormation reads first."""
    choice = _Choice(parameters, mapping(document.get("Conditions")))
    return {
        name
        for name, rule in mapping(document.get("Rules")).items()
        if choice.holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}))
        and not all(choice.holds(one["Assert"]) for one in rule["Assertions"])
    }


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
            merged = _merge(shared.get(section, {}), resource.get("Properties", {}))
            resources[name] = choice.resolve_value({**resource, "Properties": merged})
    return Stack(resources, parameters == defaults(document), parameters, document)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Parameters, and the conditions that depend on them."""

    parameters: Mapping[str, str]
    conditions: Mapping[str, Any]
    known: dict[str, bool] = field(default_factory=dict)

    def holds(self, condition: object) -> bool:
        match condition:
            case str(name) | {"Condition": str(name)} if name in self.conditions:
                if name not in self.known:
                    self.known[name] = self.holds(self.conditions[name])
                return self.known[name]
            case {"Fn::Equals": [one, other]}:
                return str(self.resolve_value(one)) == str(self.resolve_value(other))
            case {"Fn::Not": [one]}:
                return not self.holds(one)
            case {"Fn::And": [*all_of]}:
                return all(self.holds(one) for one in all_of)
            case {"Fn::Or": [*any_of]}:
                return any(self.holds(one) for one in any_of)
            case _:
                raise SetupError(f"The condition {condition!r} cannot be decided.")

    def resolve_value(self, value: Any) -> Any:  # noqa: PLR0911 - one line for each function
        match value:
            case {"Ref": "AWS::NoValue"}:
                return _GONE
            case {"Ref": str(name)} if name in self.parameters:
                return self.parameters[name]
            case {"Fn::If": [condition, one, other]}:
                return self.resolve_value(one if self.holds(condition) else other)
            case {"Fn::Sub": str(text)}:
                text = _PARAMETER.sub(lambda m: self.parameters.get(m[1], m[0]), text)
                return {"Fn::Sub": text} if "${" in text else text
            case {"Fn::Split": [str(separator), inner]} if isinstance(
                self.resolve_value(inner), str
            ):
                return self.resolve_value(inner).split(separator)
            case dict():
                pairs = ((key, self.resolve_value(inner)) for key, inner in value.items())
                return {key: inner for key, inner in pairs if inner is not _GONE}
            case list():
                return [inner for inner in map(self.resolve_value, value) if inner is not _GONE]
            case _:
                return value


def _merge(shared: object, own: object) -> object:
    """As SAM merges Globals: mappings by key, lists joined, anything else replaced."""
    if isinstance(shared, dict) and isinstance(own, dict):
        if any(str(key).startswith("Fn::") or key == "Ref" for key in (*shared, *own)):
            return own
        both = {key: _merge(shared[key], own[key]) for key in shared if key in own}
        return {**shared, **own, **both}
    if isinstance(shared, list) and isinstance(own, list):
        return [*shared, *own]
    return own


def mapping(value: object) -> dict[str, Any]:
    """`value` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
