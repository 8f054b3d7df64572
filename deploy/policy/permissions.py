"""Check what may be done: every action and resource named, a role for each function."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.policy.violation import Said, as_list, functions
from deploy.template import Stack, mapping

# `table/*` and `log-group:*` are all of the account; `log-group:name:*` is the function's own.
_ALL_OF_A_KIND = re.compile(r"(\*.*|[A-Za-z0-9-]*[/:]?\*|[*/:]+)")
_PART_OF_ONE = re.compile(r"x(?:/[\w.-]+)+/\*")
_ALL_OF_ONE_LOG = re.compile(r"\$\{\w+\.Arn\}:\*")
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


# What the run log and its ledger do to their table. A role that lacks one of them fails late: at
# the first owner who deletes a run, at the first answer that is resumed.
LOG_ACTIONS = frozenset(
    f"dynamodb:{name}"
    for name in ("DeleteItem", "DescribeTable", "GetItem", "PutItem", "Query", "UpdateItem")
)

# What a function, or a caller of one, may be allowed at most. Not in the list, and so refused:
# to hand on a role, to read a secret or a key, to change a function, an index or a table.
_NEEDED = LOG_ACTIONS | frozenset(
    {
        "bedrock:ApplyGuardrail",
        "bedrock:CountTokens",
        "bedrock:InvokeModel",
        "bedrock:InvokeModelWithResponseStream",
        "dynamodb:ConditionCheckItem",
        "execute-api:Invoke",
        "lambda:InvokeFunction",
        "lambda:InvokeFunctionUrl",
        "lambda:InvokeWebFunctionEndpoint",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:GetObject",
        "s3vectors:GetVectors",
        "s3vectors:QueryVectors",
    }
)


def unneeded_actions(stack: Stack) -> Said:
    """Find allowed actions that nothing here needs."""
    for where, statement in statements(stack):
        for action in as_list(statement.get("Action")):
            if statement.get("Effect") == "Allow" and action not in _NEEDED and "*" not in action:
                yield where, f"allows {action}, which nothing here needs."


def wildcards(stack: Stack) -> Said:
    """No `*` where a name is due, and no policy that brings one along."""
    for where, statement in statements(stack):
        if statement.get("Effect") != "Allow":
            continue
        if "NotAction" in statement or "NotResource" in statement:
            yield where, "allows everything but something; name what is allowed."
        for action in as_list(statement.get("Action")):
            if "*" in str(action):
                yield where, f"allows the action {action}; name each."
        for resource in as_list(statement.get("Resource")):
            if _is_broad(resource):
                yield where, f"allows it on {_text(resource)}; name the resource."
    for where, name in _find_managed(stack):
        yield where, f"takes on {name}, whose statements this policy cannot read; write them out."


def shared_roles(stack: Stack) -> Said:
    """Without a role a function gets SAM's, which may write any log; shared, it may too much."""
    owners: dict[str, str] = {}
    for where, properties in functions(stack):
        role = properties.get("Role")
        if not role:
            yield where, "has no role of its own; SAM's own one may write every log."
        elif (owner := owners.setdefault(repr(role), where)) != where:
            yield where, f"shares its role with {owner}."


def statements(stack: Stack, *, trust: bool = False) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every policy statement, with the logical id it stands in.

    With `trust`, those that say who may come (of roles, keys, buckets, queues, topics, APIs)
    instead of those that say what may be done.
    """
    for where, resource in stack.resources.items():
        properties = mapping(resource.get("Properties"))
        names = ("AssumeRolePolicyDocument", "KeyPolicy", "ResourcePolicy", "RepositoryPolicyText")
        resource_policy = str(resource.get("Type", "")).endswith(
            ("BucketPolicy", "QueuePolicy", "TopicPolicy")
        )
        documents = [properties.get(name) for name in names] if trust else []
        if trust == resource_policy:
            documents.append(properties.get("PolicyDocument"))
        if not trust:
            policies = as_list(properties.get("Policies"))
            documents += [mapping(policy).get("PolicyDocument", policy) for policy in policies]
        for document in documents:
            for statement in as_list(mapping(document).get("Statement")):
                if isinstance(statement, dict):
                    yield where, statement


def _find_managed(stack: Stack) -> Iterator[tuple[str, str]]:
    known = {name for name, _ in stack.of("AWS::IAM::ManagedPolicy")}
    for where, resource in stack.resources.items():
        properties = mapping(resource.get("Properties"))
        named = as_list(properties.get("ManagedPolicyArns"))
        if resource.get("Type") == "AWS::Serverless::Function":
            policies = as_list(properties.get("Policies"))
            named += [p for p in policies if isinstance(p, str) or "Statement" not in mapping(p)]
        for name in named:
            if mapping(name).get("Ref") not in known:
                yield where, _text(name)


def _is_broad(resource: object) -> bool:
    text = _text(resource)
    if text.startswith("arn:"):
        parts = text.split(":", 5)
        return len(parts) < 6 or bool(_ALL_OF_A_KIND.fullmatch(parts[5]))
    # What begins with a resource's own ARN may say which part of it; `x/*` is all of it.
    return "*" in text and not _PART_OF_ONE.fullmatch(text)


def _text(value: object) -> str:
    """A resource as text; what only the cloud knows is one plain word."""
    match value:
        case str(text):
            return text
        case {"Fn::Sub": str(text)} if _ALL_OF_ONE_LOG.fullmatch(text):
            return "x"
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), *_]}:
            return _PLACEHOLDER.sub("x", text)
        case {"Fn::Join": [separator, [*parts]]}:
            return str(separator).join(map(_text, parts))
        case _:
            return "x"
