"""Check a Web Function: its door, its caps, what it is told of its own limits, and its alarms."""

from collections.abc import Mapping
from typing import Any

from deploy.policy.permissions import LOG_ACTIONS, statements
from deploy.policy.violation import Said, as_list, is_about, number, variables, web_functions
from deploy.template import Stack, mapping

_AUTH = ("IamAuth", "ApplicationManaged")
_MOST_ENVIRONMENTS = 100
_NAMESPACE = "AWS/Lambda/Web"


def open_web_doors(stack: Stack) -> Said:
    """Find endpoints without a key or a signature, and signatures that no door asks for."""
    for where, properties in web_functions(stack):
        auth, said = properties.get("AuthType"), variables(properties)
        if auth not in _AUTH:
            yield where, f"AuthType is {auth!r}; say IamAuth."
        if auth == "ApplicationManaged" and stack.by_default:
            yield where, "every caller may call by default; say IamAuth."
        if auth == "ApplicationManaged" and not said.get("RIVERRUN_API_KEYS"):
            yield where, "is open, and RIVERRUN_API_KEYS is not set."
        if ("RIVERRUN_SIGNED" in said) != (auth == "IamAuth"):
            yield where, "RIVERRUN_SIGNED goes with IamAuth, and with nothing else."


def unbounded_environments(stack: Stack) -> Said:
    """Environments and requests are the caps on what a flood of requests costs."""
    for where, properties in web_functions(stack):
        most = number(mapping(properties.get("ScalingConfig")).get("MaxEnvironments"))
        if most is None or not 2 <= most <= _MOST_ENVIRONMENTS:
            yield where, f"MaxEnvironments is a number from 2 to {_MOST_ENVIRONMENTS}."
        if number(mapping(properties.get("ThrottleConfig")).get("RateLimit")) in (None, 0):
            yield where, "has no RateLimit."
        places = number(properties.get("MaxConcurrencyPerEnvironment"))
        if places is None or not 1 <= places <= 128:
            yield where, "MaxConcurrencyPerEnvironment is a number from 1 to 128."


def unfit_environments(stack: Stack) -> Said:
    """Find what AWS refuses, what would be cut without a word, and what no reader would find."""
    for where, properties in web_functions(stack):
        said, timeout = variables(properties), properties.get("Timeout")
        if not 3 <= (number(timeout) or 0) <= 900:
            yield where, "Timeout is a number from 3 to 900."
        if said.get("RIVERRUN_WEB_TIMEOUT") != timeout:
            yield where, "RIVERRUN_WEB_TIMEOUT is not its Timeout: nothing else tells it."
        for name, value in said.items():
            if value == "":
                yield where, f"{name} is empty, which AWS refuses; leave it out."
        log = said.get("RIVERRUN_LOG")
        if not str(mapping(log).get("Fn::Sub", log)).startswith("dynamodb:"):
            yield where, "keeps runs where no other environment reads them."
        place = properties.get("CodeUri")
        if not isinstance(place, str) or "://" in place:
            yield where, "runs code from elsewhere; CodeUri is a path of this tree."
        shared = mapping(mapping(stack.document.get("Globals")).get("Function"))
        if properties.get("Runtime") != shared.get("Runtime", properties.get("Runtime")):
            yield where, "Runtime is not the functions', for which the package is made."
        yield from _unfit_role(stack, where, properties)


def _unfit_role(stack: Stack, where: str, properties: Mapping[str, Any]) -> Said:
    role = properties.get("ExecutionRoleArn")
    allowed = {
        str(action)
        for owner, statement in statements(stack)
        if is_about(role, owner)
        for action in as_list(statement.get("Action"))
    }
    if not role:
        yield where, "has no role of its own; SAM's own one may write every log."
    elif not {"logs:PutLogEvents", *LOG_ACTIONS} <= allowed:
        yield where, "its role may not write the log, or the table of the runs."


def silent_web_functions(stack: Stack) -> Said:
    """Find a Web Function whose failures, or whose lines, no person would see."""
    alarms = [alarm for _, alarm in stack.of("AWS::CloudWatch::Alarm")]
    groups = [name for name, _ in stack.of("AWS::Logs::LogGroup")]
    filters = [one for _, one in stack.of("AWS::Logs::MetricFilter")]
    for where, properties in web_functions(stack):
        group = mapping(properties.get("LoggingConfig")).get("LogGroup")
        if not any(is_about(group, name) for name in groups):
            yield where, "has no LoggingConfig with a log group of this template."
        if not any(
            a.get("Namespace") == _NAMESPACE and a.get("MetricName") == "HTTPResponseStatusClass5XX"
            for a in alarms
        ):
            yield where, "has no alarm on HTTPResponseStatusClass5XX."
        counted = {
            mapping(one).get("MetricName")
            for f in filters
            if "initReport" in str(f.get("FilterPattern"))
            for one in as_list(f.get("MetricTransformations"))
        }
        if not any(a.get("MetricName") in counted for a in alarms):
            yield where, "has no alarm on starts that fail: a broken revision says Active."
