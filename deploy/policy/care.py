"""What it may cost, how long it is kept, who is told: the limits every function has."""

import re
from collections.abc import Mapping
from typing import Any

from deploy.policy.finding import Said, as_list, functions, is_about, variables
from deploy.template import Stack, mapping

_SECRET = re.compile(r"KEYS?$|SECRET|TOKEN|PASSWORD|CREDENTIAL", re.IGNORECASE)
_CLOSED = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_STORES = (
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::S3Vectors::Index",
    "AWS::S3Vectors::VectorBucket",
)
_REFERENCE = re.compile(r"\{\{resolve:(secretsmanager|ssm-secure):")


def unbounded_concurrency(stack: Stack) -> Said:
    """Concurrency is the only cap on what a flood of requests costs."""
    for where, properties in functions(stack):
        places = _number(properties.get("ReservedConcurrentExecutions"))
        if places is None:
            yield where, "has no ReservedConcurrentExecutions: nothing caps its cost."
        elif places < 1:
            yield where, "has no place to run in; ReservedConcurrentExecutions is at least 1."


def missing_limits(stack: Stack) -> Said:
    """Time and memory are chosen, not the platform's 3 s and 128 MB; an API is throttled."""
    for where, properties in functions(stack):
        for name, low, high in (("Timeout", 1, 900), ("MemorySize", 128, 10240)):
            value = _number(properties.get(name))
            if value is None or not low <= value <= high:
                yield where, f"{name} is a number from {low} to {high}."
    for where, properties in stack.of("AWS::Serverless::Api", "AWS::ApiGateway::Stage"):
        settings = properties.get("MethodSettings") or []
        if not any(
            mapping(s).get("ResourcePath") == "/*"
            and mapping(s).get("HttpMethod") == "*"
            and (_number(mapping(s).get("ThrottlingRateLimit")) or 0) > 0
            for s in settings
        ):
            yield where, "has no ThrottlingRateLimit for all its methods."


def logs_for_ever(stack: Stack) -> Said:
    """A log group that Lambda makes by itself is kept for ever."""
    groups = dict(stack.of("AWS::Logs::LogGroup"))
    for where, properties in functions(stack):
        target = mapping(properties.get("LoggingConfig")).get("LogGroup")
        if not any(is_about(target, name) for name in groups):
            yield where, "has no LoggingConfig with a log group of this template."
    for where, properties in groups.items():
        if not _number(properties.get("RetentionInDays")):
            yield where, "has no RetentionInDays."


def silent_functions(stack: Stack) -> Said:
    """Every function has an alarm on its errors."""
    watched = [p for _, p in stack.of("AWS::CloudWatch::Alarm") if p.get("MetricName") == "Errors"]
    for where, _ in functions(stack):
        if not any(_watches(alarm, where) for alarm in watched):
            yield where, "has no alarm on Errors."


def plain_secrets(stack: Stack) -> Said:
    """A secret is a reference to where it is kept, never a value in a template."""
    for where, properties in functions(stack):
        for name, value in variables(properties).items():
            text = mapping(value).get("Fn::Sub", value)
            if _SECRET.search(name) and not _REFERENCE.match(str(text)):
                yield where, f"{name} is no {{{{resolve:secretsmanager:…}}}} reference."


def open_buckets(stack: Stack) -> Said:
    """A bucket is closed to the public four times over, and to whoever would read in the clear."""
    private = [
        properties.get("Bucket")
        for _, properties in stack.of("AWS::S3::BucketPolicy")
        if any(_denies_plain(statement) for statement in _statements(properties))
    ]
    for where, properties in stack.of("AWS::S3::Bucket"):
        block = mapping(properties.get("PublicAccessBlockConfiguration"))
        if not all(str(block.get(name)).lower() == "true" for name in _CLOSED):
            yield where, f"is not closed to the public; set {', '.join(_CLOSED)}."
        if not any(is_about(bucket, where) for bucket in private):
            yield where, "has no policy that denies requests without aws:SecureTransport."


def fleeting_stores(stack: Stack) -> Said:
    """What is kept in a store survives a stack that is deleted or a name that changes."""
    for where, resource in stack.resources.items():
        if resource.get("Type") not in _STORES:
            continue
        for name in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(name) != "Retain":
                yield where, f"would be deleted with all that is in it; say {name}: Retain."


def _statements(properties: Mapping[str, Any]) -> list[Any]:
    return as_list(mapping(properties.get("PolicyDocument")).get("Statement"))


def _denies_plain(statement: Mapping[str, Any]) -> bool:
    asked = mapping(mapping(statement.get("Condition")).get("Bool"))
    return (
        statement.get("Effect") == "Deny"
        and str(asked.get("aws:SecureTransport")).lower() == "false"
        and statement.get("Action") in ("*", "s3:*")
    )


def _watches(alarm: Mapping[str, Any], function: str) -> bool:
    return any(
        mapping(d).get("Name") == "FunctionName" and is_about(mapping(d).get("Value"), function)
        for d in alarm.get("Dimensions") or []
    )


def _number(value: object) -> int | None:
    text = "" if isinstance(value, bool) else str(value)
    return int(text) if text.isascii() and text.isdigit() else None
