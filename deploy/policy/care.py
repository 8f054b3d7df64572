"""Check what it may cost, how long it is kept and who can see it."""

import re
from collections.abc import Mapping
from typing import Any

from deploy.policy.violation import Said, as_list, functions, is_about, number, programs, variables
from deploy.template import Stack, mapping

# A name in the plural counts something (`RIVERRUN_CHAT_TOKENS`), but for keys and secrets.
_SECRET = re.compile(r"KEYS?$|SECRET|TOKEN$|PASSWORD|CREDENTIAL", re.IGNORECASE)
_LEAKED = re.compile(r"AKIA[0-9A-Z]{16}|\bsk-[A-Za-z0-9_-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY")
_EXPIRES = "expires"  # the attribute that services/runs writes

# What a deployment without parameters may cost; a parameter may raise it.
_DEFAULTS = (("Timeout", 300), ("MemorySize", 3008), ("ReservedConcurrentExecutions", 100))
_THROTTLE = 1000
_KEPT_DAYS = 731
_CLOSED = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_STORES = (
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::S3Vectors::Index",
    "AWS::S3Vectors::VectorBucket",
)
_REFERENCE = re.compile(r"\{\{resolve:(secretsmanager|ssm-secure):[^:}]")


def unbounded_concurrency(stack: Stack) -> Said:
    """Concurrency is the only cap on what a flood of requests costs.

    A new account's own limit is one, and lets no function reserve a part of it: a person may choose
    to have none, for every function alike.
    """
    reserved = [p.get("ReservedConcurrentExecutions") for _, p in functions(stack)]
    if not stack.by_default and not any(reserved):
        return
    for where, properties in functions(stack):
        places = number(properties.get("ReservedConcurrentExecutions"))
        if places is None:
            yield where, "has no ReservedConcurrentExecutions: nothing caps its cost."
        elif places < 1:
            yield where, "has no place to run in; ReservedConcurrentExecutions is at least 1."


def missing_limits(stack: Stack) -> Said:
    """Time and memory are chosen, not the platform's 3 s and 128 MB; an API is throttled."""
    for where, properties in functions(stack):
        for name, low, high in (("Timeout", 1, 900), ("MemorySize", 128, 10240)):
            value = number(properties.get(name))
            if value is None or not low <= value <= high:
                yield where, f"{name} is a number from {low} to {high}."
    for where, properties in stack.of("AWS::Serverless::Api", "AWS::ApiGateway::Stage"):
        settings = properties.get("MethodSettings") or []
        if not any(
            mapping(s).get("ResourcePath") == "/*"
            and mapping(s).get("HttpMethod") == "*"
            and 0 < (number(mapping(s).get("ThrottlingRateLimit")) or 0) <= _THROTTLE
            for s in settings
        ):
            yield where, f"has no ThrottlingRateLimit up to {_THROTTLE} for all its methods."
    if stack.by_default:
        yield from _dear_defaults(stack)


def _dear_defaults(stack: Stack) -> Said:
    for where, properties in functions(stack):
        for name, most in _DEFAULTS:
            if (number(properties.get(name)) or 0) > most:
                yield where, f"{name} is over {most} by default; make it a parameter."


def logs_for_ever(stack: Stack) -> Said:
    """A log group that Lambda makes by itself is kept for ever."""
    groups = dict(stack.of("AWS::Logs::LogGroup"))
    for where, properties in functions(stack):
        target = mapping(properties.get("LoggingConfig")).get("LogGroup")
        if mapping(properties.get("LoggingConfig")).get("LogFormat") != "JSON":
            yield where, "has no LogFormat: JSON; text of a visitor could forge a line."
        if not any(is_about(target, name) for name in groups):
            yield where, "has no LoggingConfig with a log group of this template."
    for where, properties in groups.items():
        if not 0 < (number(properties.get("RetentionInDays")) or 0) <= _KEPT_DAYS:
            yield where, f"has no RetentionInDays up to {_KEPT_DAYS}."


def plain_secrets(stack: Stack) -> Said:
    """A secret is a reference to where it is kept, never a value in a template."""
    for where, properties in programs(stack):
        for name, value in variables(properties).items():
            text = mapping(value).get("Fn::Sub", value)
            if _SECRET.search(name) and not _REFERENCE.match(str(text)):
                yield where, f"{name} is no {{{{resolve:secretsmanager:…}}}} reference to a secret."
    if not stack.by_default:
        return
    for section in ("Parameters", "Resources", "Outputs", "Mappings", "Globals"):
        if (found := _LEAKED.search(repr(stack.document.get(section)))) is not None:
            yield section, f"holds what looks like a credential ({found[0][:4]}…)."
    for where, output in mapping(stack.document.get("Outputs")).items():
        if "resolve:" in repr(output) or re.search(r"Secret\b", repr(mapping(output).get("Value"))):
            yield where, "an output that shows a secret, or where it is."


def watched_visitors(stack: Stack) -> Said:
    """Find what would keep questions and answers where no person looks for them."""
    for where, properties in stack.of("AWS::Serverless::Api", "AWS::ApiGateway::Stage"):
        settings = [mapping(one) for one in properties.get("MethodSettings") or []]
        if any(str(one.get("DataTraceEnabled")).lower() == "true" for one in settings):
            yield where, "DataTraceEnabled writes every question into a log."
        cached = any(str(one.get("CachingEnabled")).lower() == "true" for one in settings)
        if cached or str(properties.get("CacheClusterEnabled")).lower() == "true":
            yield where, "caches: one visitor's answer would be another's."


def careless_tables(stack: Stack) -> Said:
    """Find tables whose items stay for ever, or that cannot be brought back."""
    for where, properties in stack.of("AWS::DynamoDB::Table"):
        expiry = mapping(properties.get("TimeToLiveSpecification"))
        if str(expiry.get("Enabled")).lower() != "true" or (
            expiry.get("AttributeName") != _EXPIRES
        ):
            yield where, f"TimeToLiveSpecification is not on, for the attribute {_EXPIRES}."
        recovery = mapping(properties.get("PointInTimeRecoverySpecification"))
        if str(recovery.get("PointInTimeRecoveryEnabled")).lower() != "true":
            yield where, "has no point-in-time recovery."
        if properties.get("BillingMode") != "PAY_PER_REQUEST":
            yield where, "BillingMode is not PAY_PER_REQUEST: a busy minute would be refused."


def open_buckets(stack: Stack) -> Said:
    """A bucket is closed to the public four times over, and to requests without TLS."""
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
