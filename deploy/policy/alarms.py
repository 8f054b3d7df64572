"""Check that someone is told: an alarm on what fails, what is refused, and what it costs."""

import json
import re
from collections.abc import Mapping
from typing import Any

from deploy.policy.violation import (
    Said,
    as_list,
    functions,
    is_about,
    number,
    variables,
    web_functions,
)
from deploy.template import Stack, mapping

# What our functions count themselves, and an owner has to hear of (docs/public.md).
_COUNTED = ("CostUsd", "Refused", "LimitsHit", "ModelUnavailable")
_LONG = 30  # seconds: such a function carries answers, and one that is turned away is missed


def silent_functions(stack: Stack) -> Said:
    """Find functions, APIs and counts without an alarm, and alarms that cannot ring."""
    alarms = dict(stack.of("AWS::CloudWatch::Alarm"))
    yield from _find_unwatched(stack, alarms)
    for where, alarm in alarms.items():
        for what in _faults(alarm, topic=_has_topic(stack)):
            yield where, what


def _find_unwatched(stack: Stack, alarms: Mapping[str, Mapping[str, Any]]) -> Said:
    for where, properties in functions(stack):
        wanted = ["Errors"]
        if (number(properties.get("Timeout")) or 0) > _LONG:
            wanted.append("Throttles")
        for metric in wanted:
            if not any(_watches(alarm, metric, where) for alarm in alarms.values()):
                yield where, f"has no alarm on {metric}."
    for where, _ in stack.of("AWS::Serverless::Api"):
        if not any(alarm.get("MetricName") == "5XXError" for alarm in alarms.values()):
            yield where, "has no alarm on 5XXError."
    watched = {alarm.get("MetricName") for alarm in alarms.values()}
    ours = [where for where, p in functions(stack) if "RIVERRUN_METRICS" in variables(p)]
    for metric in _COUNTED if ours else ():
        if metric not in watched:
            yield ours[0], f"counts {metric}, and there is no alarm on it."


def _has_topic(stack: Stack) -> bool:
    offered = mapping(stack.document.get("Parameters"))
    return any(
        ":sns:" in str(mapping(offered.get(name)).get("AllowedPattern")) and value
        for name, value in stack.parameters.items()
    )


def mute_budgets(stack: Stack) -> Said:
    """Find budgets that tell no one."""
    for where, properties in stack.of("AWS::Budgets::Budget"):
        told = [
            subscriber.get("Address")
            for notification in as_list(properties.get("NotificationsWithSubscribers"))
            for subscriber in as_list(mapping(notification).get("Subscribers"))
        ]
        if not told or not all(told):
            yield where, "tells no one; name a subscriber for each notification."


def unseen_counts(stack: Stack) -> Said:
    """Find functions that count what no dashboard shows, and dashboards that CloudWatch refuses."""
    shown = {where: render_dashboard(one) for where, one in stack.of("AWS::CloudWatch::Dashboard")}
    for where, body in shown.items():
        if body is None:
            yield where, "its DashboardBody is no JSON."
    ours = [
        where
        for where, properties in (*functions(stack), *web_functions(stack))
        if "RIVERRUN_METRICS" in variables(properties)
    ]
    if ours and not any('"Riverrun"' in json.dumps(body) for body in shown.values()):
        yield ours[0], "counts runs, money and refusals, and there is no dashboard of them."


def render_dashboard(dashboard: Mapping[str, Any]) -> Any:
    """The body of a dashboard, with the names of what only the cloud knows; None if no JSON."""
    try:
        return json.loads(_render(dashboard.get("DashboardBody"), {}))
    except ValueError:
        return None


def _render(text: object, known: Mapping[str, str]) -> str:
    """A text as CloudFormation would write it; what only the cloud knows stands as its name."""
    match mapping(text).get("Fn::Sub", text):
        case [str(outer), dict(inner)]:
            return _render(outer, {name: _render(value, known) for name, value in inner.items()})
        case str(plain):
            return re.sub(r"\$\{([\w:.]+)\}", lambda m: known.get(m[1], m[1]), plain)
        case _:
            return ""


def _faults(alarm: Mapping[str, Any], *, topic: bool) -> list[str]:
    found = []
    if topic and not as_list(alarm.get("AlarmActions")):
        found.append("has no AlarmActions, though there is a topic to tell.")
    if str(alarm.get("ActionsEnabled", True)).lower() == "false":
        found.append("has ActionsEnabled: false, so it tells no one.")
    if not str(alarm.get("ComparisonOperator")).startswith("GreaterThan"):
        found.append("rings when there is little of it; compare with GreaterThan….")
    threshold = alarm.get("Threshold")
    if isinstance(threshold, int | float) and not 0 <= threshold <= 1000:
        found.append("has a Threshold that is never reached.")
    seconds = (number(alarm.get("Period")) or 0) * (number(alarm.get("EvaluationPeriods")) or 0)
    if not 0 < seconds <= 3600:
        found.append("looks further back than an hour.")
    return found


def _watches(alarm: Mapping[str, Any], metric: str, function: str) -> bool:
    return (
        alarm.get("MetricName") == metric
        and alarm.get("Namespace") == "AWS/Lambda"
        and alarm.get("Statistic") == "Sum"
        and any(
            mapping(d).get("Name") == "FunctionName" and is_about(mapping(d).get("Value"), function)
            for d in as_list(alarm.get("Dimensions"))
        )
    )
