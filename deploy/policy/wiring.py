"""Check that a function may do, and holds, exactly what its own settings ask for.

This is what the template's `Rules` promise: without one of them a choice comes through whose stack
does not fit together, and is found here.
"""

import re
from collections.abc import Mapping
from typing import Any

from deploy.policy.permissions import LOG_ACTIONS, statements
from deploy.policy.violation import Said, as_list, functions, is_about, programs, variables
from deploy.template import Stack, mapping

_RUNTIMES = re.compile(r"python3\.(1[1-9])")
_LIMITS = ("RIVERRUN_VISITOR_RUNS", "RIVERRUN_VISITOR_USD", "RIVERRUN_TOTAL")
_LOCAL_VECTORS = 384
_OPENAI_VECTORS = "1536"


def unfit_models(stack: Stack) -> Said:
    """Find models that cannot be asked, and credentials for models that are not."""
    for where, properties in programs(stack):
        said = variables(properties)
        makers = {said.get("RIVERRUN_CHAT"), said.get("RIVERRUN_EMBEDDING")}
        holds = [name for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL") if said.get(name)]
        if "openai" in makers and not holds:
            yield where, "asks openai with neither a key nor an address."
        if "openai" not in makers and holds:
            yield where, f"holds {holds[0]} and asks another model."
        if str(said.get("OPENAI_BASE_URL", "https:")).startswith("http:"):
            yield where, "sends a key in the clear; OPENAI_BASE_URL begins with https://."
        if (
            said.get("RIVERRUN_EMBEDDING") == "openai"
            and not said.get("RIVERRUN_EMBEDDING_MODEL")
            and said.get("RIVERRUN_EMBEDDING_DIMENSION") != _OPENAI_VECTORS
        ):
            yield where, f"vectors of openai's default model have {_OPENAI_VECTORS} numbers."
    yield from _unfit_indexes(stack)


def _unfit_indexes(stack: Stack) -> Said:
    local = any(
        variables(properties).get("RIVERRUN_EMBEDDING") == "local"
        for _, properties in programs(stack)
    )
    for where, properties in stack.of("AWS::S3Vectors::Index"):
        if local and str(properties.get("Dimension")) != str(_LOCAL_VECTORS):
            yield where, f"vectors of the local model have {_LOCAL_VECTORS} numbers."


def unfit_permissions(stack: Stack) -> Said:
    """Find statements about nothing, and settings without the permission that they need."""
    allowed: dict[str, set[str]] = {}
    for where, statement in statements(stack):
        resources = [one for one in as_list(statement.get("Resource")) if one]
        if not resources:
            yield where, "allows something on no resource."
        elif statement.get("Effect") == "Allow":
            allowed.setdefault(where, set()).update(map(str, as_list(statement.get("Action"))))
    for where, properties in functions(stack):
        role = next((name for name in allowed if is_about(properties.get("Role"), name)), "")
        said = variables(properties)
        if str(mapping(said.get("RIVERRUN_LOG")).get("Fn::Sub", "")).startswith("dynamodb:"):
            only_looks = properties.get("Handler") == "functions.health.handler"
            needed = {"dynamodb:DescribeTable"} if only_looks else LOG_ACTIONS
            if missing := sorted(needed - allowed.get(role, set())):
                yield where, f"keeps runs in a table, and its role lacks {', '.join(missing)}."
        limited = any(name.startswith(_LIMITS) for name in said)
        if limited and str(said.get("RIVERRUN_LOG")).startswith("memory:"):
            yield where, "has limits, which each sandbox would count for itself in memory."
        has_dollars = any(name.endswith("_USD_PER_DAY") for name in said)
        if has_dollars and not said.get("RIVERRUN_BUDGET_USD"):
            yield where, "has dollars of a day, and no budget of an answer that reserves them."
    asks = [p for _, p in functions(stack) if variables(p).get("RIVERRUN_CHAT") == "bedrock"]
    if asks and not any(
        action.startswith("bedrock:") for actions in allowed.values() for action in actions
    ):
        yield "chat", "asks bedrock, and no role may."


def foreign_code(stack: Stack) -> Said:
    """Find code that is not this tree's, and runtimes that it was not tested with."""
    for where, properties in functions(stack):
        place = properties.get("CodeUri", properties.get("Code"))
        if not isinstance(place, str) or re.match(r"[a-z0-9]+://", place):
            yield where, "runs code from elsewhere; CodeUri is a path of this tree."
        if properties.get("Layers"):
            yield where, "has layers; what runs is in the package, by its hash."
        if not _RUNTIMES.fullmatch(str(properties.get("Runtime"))):
            yield where, f"Runtime {properties.get('Runtime')} is not one that is tested."


def idle_parameters(stack: Stack) -> Said:
    """Find parameters that reach nothing: a person who sets one believes that it does."""
    if not stack.by_default:
        return
    conditions = mapping(stack.document.get("Conditions"))
    left_out = ("Parameters", "Rules", "Conditions")
    rest = repr({k: v for k, v in stack.document.items() if k not in left_out})
    live = {name for name in conditions if _decides(name, rest)}
    # A condition may be made of others.
    for _ in conditions:
        said = repr([conditions[name] for name in live])
        live |= {name for name in conditions if f"'Condition': '{name}'" in said}
    said = repr([conditions[name] for name in live])
    for name in mapping(stack.document.get("Parameters")):
        if f"'Ref': '{name}'" not in rest + said and f"${{{name}}}" not in rest:
            yield name, "is a parameter that nothing uses."


def weak_filters(stack: Stack) -> Said:
    """Find a web ACL that only counts, or stands in front of nothing."""
    associated = [p.get("WebACLArn") for _, p in stack.of("AWS::WAFv2::WebACLAssociation")]
    for where, properties in stack.of("AWS::WAFv2::WebACL"):
        rules: list[Mapping[str, Any]] = as_list(properties.get("Rules"))
        if not any("Block" in mapping(rule.get("Action")) for rule in rules):
            yield where, "blocks nothing."
        if not any(is_about(arn, where) for arn in associated):
            yield where, "stands in front of nothing; associate it with the API's stage."


def _decides(condition: str, text: str) -> bool:
    return f"'Fn::If': ['{condition}'" in text or f"'Condition': '{condition}'" in text
