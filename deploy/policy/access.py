"""Check who may call: doors that stand open, and doors that would not open for their callers."""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.policy.permissions import statements
from deploy.policy.violation import Said, as_list, events, functions, is_about, programs, variables
from deploy.template import Stack, mapping

_KNOWN = ("AWS_IAM", "NONE")

# What lets a caller in. A function that lacks one which another function has is the open one.
_GUARDS = ("RIVERRUN_API_KEYS", "RIVERRUN_GATEWAY_SECRETS", "RIVERRUN_ALLOWED_ORIGINS")
_CORS = ("Cors", "CorsConfiguration", "CorsConfigurations")


def open_doors(stack: Stack) -> Said:
    """Find what every caller may call without a choice of the person who deploys."""
    for where, auth in _doors(stack):
        if auth not in _KNOWN:
            yield where, f"who may call is {auth!r}; say AWS_IAM."
        elif stack.by_default and auth == "NONE":
            yield where, "every caller may call by default; say AWS_IAM."
    for where, properties in stack.of("AWS::Lambda::Permission"):
        if properties.get("Principal") == "*":
            if stack.by_default:
                yield where, "lets every caller invoke by default."
            elif not _only_by_url(properties):
                yield where, "lets every caller invoke, and not only through the function URL."
    yield from _broad_trust(stack)


def _broad_trust(stack: Stack) -> Said:
    for where, statement in statements(stack, trust=True):
        if statement.get("Effect") != "Allow":
            continue
        if "NotPrincipal" in statement:
            yield where, "lets all but one principal in; name the one."
        principal = statement.get("Principal")
        names = list(mapping(principal).values()) if isinstance(principal, dict) else [principal]
        if any("*" in as_list(name) for name in names):
            yield where, "the principal of a policy is every caller."
        elif stack.resources[where].get("Type") == "AWS::IAM::Role" and (
            mapping(principal) != {"Service": "lambda.amazonaws.com"}
        ):
            yield where, "a function's role trusts another than lambda.amazonaws.com."


def foreign_invokers(stack: Stack) -> Said:
    """Find permissions that let a service, or another account, invoke for whom it likes."""
    for where, properties in stack.of("AWS::Lambda::Permission"):
        principal = properties.get("Principal")
        text = str(principal)
        if text.endswith((".amazonaws.com", ".amazonaws.com.cn")):
            if not properties.get("SourceArn"):
                yield where, f"lets {text} invoke on behalf of any account; name its SourceArn."
        elif principal not in ("*", {"Ref": "AWS::AccountId"}):
            yield where, "lets another account invoke; a caller attaches CallerPolicy instead."


def direct_invocations(stack: Stack) -> Said:
    """Find callers who may hand a function an event of their own making.

    Through its URL a function learns from Lambda who called; an event that is invoked directly
    can claim any caller.
    """
    for where, statement in statements(stack):
        if "lambda:InvokeFunction" not in as_list(statement.get("Action")):
            continue
        asked = mapping(mapping(statement.get("Condition")).get("Bool"))
        if str(asked.get("lambda:InvokedViaFunctionUrl")).lower() != "true":
            yield where, "allows lambda:InvokeFunction without lambda:InvokedViaFunctionUrl: true."


def missing_permissions(stack: Stack) -> Said:
    """Find function URLs with one of two actions: since October 2025 they answer 403."""
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
                    f"is open, but no permission has {action} for * with {key}: {value}.",
                )
    by_policy: dict[str, set[str]] = {}
    for where, statement in statements(stack):
        if statement.get("Effect") == "Allow":
            by_policy.setdefault(where, set()).update(map(str, as_list(statement.get("Action"))))
    for where, actions in by_policy.items():
        if "lambda:InvokeFunctionUrl" in actions and "lambda:InvokeFunction" not in actions:
            yield where, "has lambda:InvokeFunctionUrl without lambda:InvokeFunction."


def missing_keys(stack: Stack) -> Said:
    """Find functions behind an open front without keys, and guards that one function lacks.

    Who lets the gateway in (a signature, a shared secret) and who lets the visitor in (keys) are
    two settings: a signed front may have keys as well, and the gateway moves them to a header of
    their own.
    """
    open_to_all = any(auth == "NONE" for _, auth in _doors(stack))
    for where, properties in functions(stack):
        if open_to_all and not variables(properties).get("RIVERRUN_API_KEYS"):
            yield where, "an open front leads here, and RIVERRUN_API_KEYS is not set."
    for name in _GUARDS:
        values = {
            where: repr(variables(properties).get(name)) for where, properties in functions(stack)
        }
        if len(set(values.values())) > 1:
            odd = min(values, key=lambda where: list(values.values()).count(values[where]))
            yield odd, f"{name} is not what the other functions have."


def foreign_pages(stack: Stack) -> Said:
    """Find answers to pages of other origins that the application did not decide on."""
    for where, properties in programs(stack):
        origins = str(variables(properties).get("RIVERRUN_ALLOWED_ORIGINS", ""))
        if "*" in origins:
            yield where, "RIVERRUN_ALLOWED_ORIGINS has *: any page may spend your money; name them."
    for where, resource in stack.resources.items():
        for path, value in _leaves(mapping(resource.get("Properties"))):
            key = path[-1]
            if any(name in path for name in _CORS):
                yield where, "sets CORS, which the application does; two answers are one too many."
            elif "access-control-allow-origin" in key.lower() and "*" in str(value):
                yield where, "lets pages of every origin read; the application says which may."


_Leaf = tuple[tuple[str, ...], object]


def _leaves(value: object, path: tuple[str, ...] = ("",)) -> Iterator[_Leaf]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, value


def _doors(stack: Stack) -> Iterator[tuple[str, object]]:
    """Yield every way in, and what guards it."""
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
    """Yield where, who may call, and the function's logical id."""
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
