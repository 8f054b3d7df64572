"""What a template of ours must never say, however valid it is.

`check` looks at the template as deployed with its defaults and with every combination of the
values its parameters offer: who may call, what may be done, what it may cost, and whether
streams arrive. It knows AWS's resources, not our functions: a new function is held to the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.policy import access, care, permissions, streams
from deploy.policy.finding import Finding
from deploy.template import choices, resolve

__all__ = ["RULES", "Finding", "check"]


RULES = {
    "open-door": access.open_doors,
    "second-permission": access.missing_permissions,
    "keys": access.missing_keys,
    "wildcard": permissions.wildcards,
    "own-role": permissions.shared_roles,
    "concurrency": care.unbounded_concurrency,
    "limits": care.missing_limits,
    "logs": care.logs_for_ever,
    "alarms": care.silent_functions,
    "secrets": care.plain_secrets,
    "bucket": care.open_buckets,
    "retain": care.fleeting_stores,
    "transfer-mode": streams.buffered_routes,
    "endpoint": streams.impatient_endpoints,
    "wrapper": streams.missing_wrapper,
}


def check(document: Mapping[str, Any]) -> list[Finding]:
    """Every finding once, in the order of `RULES`. Empty means that nothing is wrong."""
    found: dict[Finding, None] = {}
    for finding in _all(document):
        found.setdefault(finding)
    order = list(RULES)
    return sorted(found, key=lambda finding: (order.index(finding.rule), finding.where))


def _all(document: Mapping[str, Any]) -> Iterator[Finding]:
    for parameters in choices(document):
        stack = resolve(document, parameters)
        for name, rule in RULES.items():
            for where, what in rule(stack):
                yield Finding(name, where, what)
