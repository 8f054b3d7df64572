"""What a rule says, and the few readings of a resource that several rules need."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.template import Stack, mapping

Said = Iterator[tuple[str, str]]
"""Where (a logical id) and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: the rule's name, a logical id, and a sentence."""

    rule: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} [{self.rule}]"


def functions(stack: Stack) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every function, whether SAM's or CloudFormation's own."""
    yield from stack.of("AWS::Serverless::Function", "AWS::Lambda::Function")


def web_functions(stack: Stack) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every Web Function, whether SAM's or CloudFormation's own."""
    yield from stack.of("AWS::Serverless::WebFunction", "AWS::Lambda::WebFunction")


def programs(stack: Stack) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything that runs our code: functions and Web Functions."""
    yield from functions(stack)
    yield from web_functions(stack)


def events(properties: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and properties of a function's events of one kind."""
    for name, event in mapping(properties.get("Events")).items():
        if mapping(event).get("Type") == kind:
            yield name, mapping(mapping(event).get("Properties"))


def variables(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a function, or of a Web Function."""
    if "EnvironmentVariables" in properties:
        return mapping(properties["EnvironmentVariables"])
    return mapping(mapping(properties.get("Environment")).get("Variables"))


def is_about(value: object, logical_id: str) -> bool:
    """Whether a property names this resource: by Ref, by GetAtt, or inside a Sub."""
    match value:
        case {"Ref": name}:
            return bool(name == logical_id)
        case {"Fn::GetAtt": str(text)}:
            return text.partition(".")[0] == logical_id
        case {"Fn::GetAtt": [name, *_]}:
            return bool(name == logical_id)
        case {"Fn::Sub": str(text)}:
            return f"${{{logical_id}}}" in text or f"${{{logical_id}." in text
        case _:
            return False


def number(value: object) -> int | None:
    """Read a whole number, which a template may write as text."""
    text = "" if isinstance(value, bool) else str(value)
    return int(text) if text.isascii() and text.isdigit() else None


def as_list(value: object) -> list[Any]:
    """IAM lets one thing stand for a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]
