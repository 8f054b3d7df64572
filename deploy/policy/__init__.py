"""Check a template for what it must never say, however valid it is.

`check` looks at the template as deployed with its defaults and with some hundred choices of its
parameters: who may call, what may be done, what it may cost, and whether streams arrive. It knows
AWS's resources, not our functions: a new function is held to the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.policy import access, alarms, care, permissions, streams, web, wiring
from deploy.policy.violation import Violation
from deploy.template import broken_rules, choices, resolve

__all__ = ["RULES", "Finding", "check", "findings"]


RULES = {
    "open-door": access.open_doors,
    "second-permission": access.missing_permissions,
    "source": access.foreign_invokers,
    "direct": access.direct_invocations,
    "keys": access.missing_keys,
    "cors": access.foreign_pages,
    "wildcard": permissions.wildcards,
    "action": permissions.unneeded_actions,
    "own-role": permissions.shared_roles,
    "concurrency": care.unbounded_concurrency,
    "limits": care.missing_limits,
    "logs": care.logs_for_ever,
    "alarms": alarms.silent_functions,
    "dashboard": alarms.unseen_counts,
    "budget": alarms.mute_budgets,
    "secrets": care.plain_secrets,
    "privacy": care.watched_visitors,
    "bucket": care.open_buckets,
    "retain": care.fleeting_stores,
    "table": care.careless_tables,
    "models": wiring.unfit_models,
    "permissions": wiring.unfit_permissions,
    "code": wiring.foreign_code,
    "parameter": wiring.idle_parameters,
    "waf": wiring.weak_filters,
    "route-timeout": streams.impatient_routes,
    "transfer-mode": streams.buffered_routes,
    "endpoint": streams.impatient_endpoints,
    "wrapper": streams.missing_wrapper,
    "web-door": web.open_web_doors,
    "web-cap": web.unbounded_environments,
    "web-environment": web.unfit_environments,
    "web-alarms": web.silent_web_functions,
}


# Rules that look at the defaults themselves, whatever the template's own rules refuse.
_OF_DEFAULTS = ("open-door", "web-door", "limits", "secrets", "parameter")


def check(document: Mapping[str, Any]) -> list[Violation]:
    """Every finding once, in the order of `RULES`. Empty means that nothing is wrong."""
    found: dict[Violation, None] = {}
    for finding in findings(document):
        found.setdefault(finding)
    order = list(RULES)
    return sorted(found, key=lambda finding: (order.index(finding.rule), finding.where))


def findings(document: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield what is found, stack by stack, and so again and again."""
    for parameters in choices(document):
        stack = resolve(document, parameters)
        # A package may leave out what a default names: then a deploy that says nothing is refused.
        refused = broken_rules(document, parameters)
        for name, rule in RULES.items():
            if refused and name not in _OF_DEFAULTS:
                continue
            for where, what in rule(stack):
                yield Violation(name, where, what)
