"""Who may call: doors that stand open, and doors that would not open for those who may."""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.policy.finding import Said, as_list, events, functions, is_about, variables
from deploy.policy.permissions import statements
from deploy.template import Stack, mapping

_KNOWN = ("AWS_IAM", "NONE")


def open_doors(stack: Stack) -> Said:
    """Nothing is callable by everybody unless somebody chose that."""
    for where, auth in _doors(stack):
        if auth not in _KNOWN:
            yield where, f"who may call is {auth!r}; say AWS_IAM."
        elif stack.by_default and auth == "NONE":
            yield where, "everybody may call by default; say AWS_IAM."
    for where, properties in stack.of("AWS::Lambda::Permission"):
        if properties.get("Principal") == "*":
            if stack.by_default:
                yield where, "lets everybody invoke by default."
            elif not _only_by_url(properties):
                yield where, "lets everybody invoke, and not only through the function URL."
    for where, statement in statements(stack, trust=True):
        principal = statement.get("Principal")
        names = list(mapping(principal).values()) if isinstance(principal, dict) else [principal]
        if any("*" in as_list(name) for name in names) and statement.get("Effect") == "Allow":
            yield where, "the principal of a policy is everybody."


def missing_permissions(stack: Stack) -> Said:
    """A function URL takes both actions since October 2025; with one it answers 403."""
    permissions = [properties for _, properties in stack.of("AWS::Lambda::Permission")]
    for where, auth, target in _urls(stack):
        if auth != "NONE":
            continue
        for action, key, value in (
            ("lambda:InvokeFunctionUrl", "FunctionUrlAuthType", "NONE"),
            ("lambda:InvokeFunction", "InvokedViaFunctionUrl", True),
        ):
            if not any(
                p.get("Action") == action
                and p.get("Principal") == "*"
                and str(p.get(key)).lower() == str(value).lower()
                and is_about(p.get("FunctionName"), target)
                for p in permissions
            ):
                yield (
                    where,
                    f"is open, but no permission has {action} for everybody with {key}: {value}.",
                )
    by_policy: dict[str, set[str]] = {}
    for where, statement in statements(stack):
        if statement.get("Effect") == "Allow":
            by_policy.setdefault(where, set()).update(map(str, as_list(statement.get("Action"))))
    for where, actions in by_policy.items():
        if "lambda:InvokeFunctionUrl" in actions and "lambda:InvokeFunction" not in actions:
            yield where, "has lambda:InvokeFunctionUrl without lambda:InvokeFunction."


def missing_keys(stack: Stack) -> Said:
    """An open door is guarded by the application's keys; a signed one must not be.

    Keys and signatures both want the Authorization header.
    """
    open_to_all = any(auth == "NONE" for _, auth in _doors(stack))
    for where, properties in functions(stack):
        keys = variables(properties).get("RIVERRUN_API_KEYS")
        if open_to_all and not keys:
            yield where, "an open front leads here, and RIVERRUN_API_KEYS is not set."
        elif keys and not open_to_all:
            yield where, "RIVERRUN_API_KEYS behind a signed front: no request could carry both."


def _doors(stack: Stack) -> Iterator[tuple[str, object]]:
    """Every way in, and what guards it."""
    for where, auth, _ in _urls(stack):
        yield where, auth
    apis = dict(stack.of("AWS::Serverless::Api"))
    for where, properties in functions(stack):
        for name, event in events(properties, "Api"):
            own = mapping(event.get("Auth")).get("Authorizer")
            yield f"{where}.{name}", own or _authorizer(event, apis)
        for name, event in events(properties, "HttpApi"):
            yield f"{where}.{name}", mapping(event.get("Auth")).get("Authorizer")
    for where, properties in stack.of("AWS::ApiGateway::Method", "AWS::ApiGatewayV2::Route"):
        if properties.get("HttpMethod") != "OPTIONS":
            yield where, properties.get("AuthorizationType")


def _urls(stack: Stack) -> Iterator[tuple[str, object, str]]:
    """Where, who may call, and the function's logical id."""
    for where, properties in functions(stack):
        if "FunctionUrlConfig" in properties:
            yield where, mapping(properties["FunctionUrlConfig"]).get("AuthType"), where
    known = [name for name, _ in functions(stack)]
    for where, properties in stack.of("AWS::Lambda::Url"):
        target = properties.get("TargetFunctionArn")
        owner = next((name for name in known if is_about(target, name)), "")
        yield where, properties.get("AuthType"), owner


def _authorizer(event: Mapping[str, Any], apis: Mapping[str, Mapping[str, Any]]) -> object:
    owner = next((name for name in apis if is_about(event.get("RestApiId"), name)), None)
    return mapping(apis[owner].get("Auth")).get("DefaultAuthorizer") if owner else None


def _only_by_url(properties: Mapping[str, Any]) -> bool:
    if properties.get("Action") == "lambda:InvokeFunctionUrl":
        return properties.get("FunctionUrlAuthType") == "NONE"
    invoked = str(properties.get("InvokedViaFunctionUrl")).lower() == "true"
    return properties.get("Action") == "lambda:InvokeFunction" and invoked
