"""Templates that were changed a little, for worse and for no harm, against the policy."""

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from deploy.policy import RULES
from deploy.template import broken_rules, choices, parse_template, resolve
from tests.deploy.conftest import ROOT

DOCUMENT = parse_template((ROOT / "template.yaml").read_text())
Change = Callable[[dict[str, Any]], None]


def put(path: str, value: Any) -> Change:
    """Set what stands at `path`, or add it to a list where the path ends with `+`."""
    *way, last = path.split("/")

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if last == "+":
            place.append(value)
        else:
            place[int(last) if isinstance(place, list) else last] = value

    return change


def drop(path: str) -> Change:
    """Take away what stands at `path`."""
    *way, last = path.split("/")

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        del place[int(last) if isinstance(place, list) else last]

    return change


def together(*changes: Change) -> Change:
    """Make several changes."""

    def change(document: dict[str, Any]) -> None:
        for one in changes:
            one(document)

    return change


R = "Resources"
CHAT = f"{R}/chat/Properties"
API = f"{R}/api/Properties"
TABLE = f"{R}/runsTable/Properties"
METHODS = f"{API}/MethodSettings/0"
STATEMENTS = f"{R}/chatRole/Properties/Policies/0/PolicyDocument/Statement"
CALLER = f"{R}/callerPolicy/Properties/PolicyDocument/Statement"
VARIABLES = "Globals/Function/Environment/Variables"
WEB = "Resources/web/Properties/EnvironmentVariables"
ALARM = f"{R}/chatErrors/Properties"


def permission(**properties: Any) -> Change:
    """Add a permission to invoke chat."""
    said = {"FunctionName": {"Ref": "chat"}, "Action": "lambda:InvokeFunction", **properties}
    return put(f"{R}/more", {"Type": "AWS::Lambda::Permission", "Properties": said})


def allow(action: Any, resource: Any) -> Change:
    """Let chat do more."""
    return put(f"{STATEMENTS}/+", {"Effect": "Allow", "Action": action, "Resource": resource})


def variable(name: str, value: Any) -> Change:
    """Set a variable of every function."""
    return put(f"{VARIABLES}/{name}", value)


def forbid(role: str, action: str) -> Change:
    """Take one action on the table from a role."""

    def change(document: dict[str, Any]) -> None:
        policy = document["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]
        for statement in policy["Statement"]:
            allowed = statement.get("Fn::If", [None, statement])[1]
            if isinstance(allowed, dict) and action in allowed.get("Action", ()):
                allowed["Action"].remove(action)

    return change


TABLE_ARN = {"Fn::GetAtt": "runsTable.Arn"}

# What was changed: (the rule that finds it, the change)
MUTANTS: dict[str, tuple[str, Change]] = {
    "a timeout of 900": ("limits", put(f"{CHAT}/Timeout", 900)),
    "a timeout of 900 for health": ("limits", put(f"{R}/health/Properties/Timeout", 900)),
    "a default timeout of 900": ("limits", put("Parameters/ChatTimeout/Default", 900)),
    "ten GB of memory": ("limits", put(f"{CHAT}/MemorySize", 10240)),
    "a thousand sandboxes by default": ("limits", put("Parameters/ChatConcurrency/Default", 1000)),
    "a throttle of a million": ("limits", put(f"{METHODS}/ThrottlingRateLimit", 1000000)),
    "no throttle": ("limits", drop(f"{API}/MethodSettings")),
    "a throttle of one method": ("limits", put(f"{METHODS}/HttpMethod", "GET")),
    "time to live is gone": ("table", drop(f"{TABLE}/TimeToLiveSpecification")),
    "time to live is off": ("table", put(f"{TABLE}/TimeToLiveSpecification/Enabled", False)),
    "time to live of another attribute": (
        "table",
        put(f"{TABLE}/TimeToLiveSpecification/AttributeName", "expire"),
    ),
    "no point-in-time recovery": ("table", drop(f"{TABLE}/PointInTimeRecoverySpecification")),
    "point-in-time recovery is off": (
        "table",
        put(f"{TABLE}/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", False),
    ),
    "a table with a fixed capacity": ("table", put(f"{TABLE}/BillingMode", "PROVISIONED")),
    "CORS at the function URL": (
        "cors",
        put(f"{CHAT}/FunctionUrlConfig/Cors", {"AllowOrigins": ["*"]}),
    ),
    "CORS at the REST API": ("cors", put(f"{API}/Cors", "'*'")),
    "CORS of every API": ("cors", put("Globals/Api/Cors", {"AllowOrigin": "'*'"})),
    "every origin in the settings": ("cors", variable("RIVERRUN_ALLOWED_ORIGINS", "*")),
    "every origin by default": ("cors", put("Parameters/AllowedOrigins/Default", "*")),
    "every origin can be chosen": ("cors", drop("Parameters/AllowedOrigins/AllowedPattern")),
    "a gateway response for every origin": (
        "cors",
        put(
            f"{API}/GatewayResponses/DEFAULT_4XX/ResponseParameters/Headers",
            {"Access-Control-Allow-Origin": "'*'"},
        ),
    ),
    "no rule that an open door needs keys": ("keys", drop("Rules/AnOpenDoorNeedsKeys")),
    "no rule that bedrock needs models": ("permissions", drop("Rules/BedrockChatNeedsModels")),
    "no rule that embedding with bedrock needs models": (
        "permissions",
        drop("Rules/BedrockEmbeddingNeedsModels"),
    ),
    "no rule that openai needs a key": ("models", drop("Rules/OpenAINeedsAKeyOrAnAddress")),
    "no rule about keys that no function uses": ("models", drop("Rules/AKeyIsForWhoAsks")),
    "no rule about an address that no function uses": (
        "models",
        drop("Rules/AnAddressIsForWhoAsks"),
    ),
    "no rule about the length of openai's vectors": ("models", drop("Rules/OpenAIVectorsAreLong")),
    "no rule about the length of local vectors": ("models", drop("Rules/LocalVectorsAreShort")),
    "no rule that limits need a table": ("permissions", drop("Rules/LimitsNeedATable")),
    "no rule that dollars of a day need a budget": (
        "permissions",
        drop("Rules/DollarsOfADayNeedABudget"),
    ),
    "no rule that a budget needs a topic": ("budget", drop("Rules/ABudgetNeedsATopic")),
    "a rule that always holds": (
        "keys",
        put("Rules/AnOpenDoorNeedsKeys/Assertions/0/Assert", {"Fn::Equals": ["", ""]}),
    ),
    "no rules at all": ("models", drop("Rules")),
    "API Gateway invokes for any account": (
        "source",
        permission(Principal="apigateway.amazonaws.com"),
    ),
    "events invokes for any account": ("source", permission(Principal="events.amazonaws.com")),
    "another account invokes": ("source", permission(Principal="999999999999")),
    "callers may invoke with any event": ("direct", drop(f"{CALLER}/1/Condition")),
    "callers may invoke with any event, in words": (
        "direct",
        put(f"{CALLER}/1/Condition/Bool/lambda:InvokedViaFunctionUrl", "false"),
    ),
    "a role that another account may take": (
        "open-door",
        put(
            f"{R}/chatRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal",
            {"AWS": "arn:aws:iam::999999999999:root"},
        ),
    ),
    "all but one may take a role": (
        "open-door",
        put(
            f"{R}/chatRole/Properties/AssumeRolePolicyDocument/Statement/0",
            {
                "Effect": "Allow",
                "NotPrincipal": {"AWS": "arn:aws:iam::999999999999:root"},
                "Action": "sts:AssumeRole",
            },
        ),
    ),
    "an open URL in front of runs": (
        "open-door",
        put(f"{R}/runs/Properties/FunctionUrlConfig", {"AuthType": "NONE"}),
    ),
    "an index that may be written": (
        "action",
        allow("s3:PutObject", {"Fn::Sub": "${indexBucket.Arn}/index/*"}),
    ),
    "a table that may be deleted": ("action", allow("dynamodb:DeleteTable", TABLE_ARN)),
    "a table that may be scanned": ("action", allow(["dynamodb:Scan"], TABLE_ARN)),
    "a role that hands on roles": ("action", allow("iam:PassRole", "arn:aws:iam::1:role/x")),
    "a function that reads secrets": (
        "action",
        allow("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:1:secret:x"),
    ),
    "every action on the table": ("wildcard", allow("dynamodb:*", TABLE_ARN)),
    "every model can be chosen": (
        "wildcard",
        put("Parameters/BedrockModels/AllowedPattern", ".*"),
    ),
    "two alarms on one function, none on another": (
        "alarms",
        put(f"{R}/healthErrors/Properties/Dimensions/0/Value", {"Ref": "chat"}),
    ),
    "nothing rings when chat turns visitors away": ("alarms", drop(f"{R}/chatThrottles")),
    "nothing rings when the API fails": ("alarms", drop(f"{R}/apiFailures")),
    "nothing rings when answers cost too much": (
        "alarms",
        together(drop(f"{R}/answersCost"), variable("RIVERRUN_METRICS", "emf")),
    ),
    "an alarm that does nothing": ("alarms", put(f"{ALARM}/ActionsEnabled", False)),
    "an alarm that tells no one": ("alarms", drop(f"{ALARM}/AlarmActions")),
    "an alarm that rings in silence": (
        "alarms",
        put(f"{ALARM}/ComparisonOperator", "LessThanThreshold"),
    ),
    "an alarm on an average": ("alarms", put(f"{ALARM}/Statistic", "Average")),
    "an alarm that is never reached": ("alarms", put(f"{ALARM}/Threshold", 1000000)),
    "no dashboard": ("dashboard", drop(f"{R}/dashboard")),
    "a dashboard of the functions' host alone": (
        "dashboard",
        put(f"{R}/dashboard/Condition", "OnFunctions"),
    ),
    "a dashboard that is no JSON": (
        "dashboard",
        put(f"{R}/dashboard/Properties/DashboardBody", '{"widgets": [}'),
    ),
    "a dashboard of another thing": (
        "dashboard",
        put(f"{R}/dashboard/Properties/DashboardBody", '{"widgets": []}'),
    ),
    "an alarm that looks at a week": ("alarms", put(f"{ALARM}/EvaluationPeriods", 2016)),
    "a budget without a subscriber": (
        "budget",
        put(f"{R}/monthlyBudget/Properties/NotificationsWithSubscribers", []),
    ),
    "a key of AWS in a description": (
        "secrets",
        put(f"{R}/chat/Properties/Description", "AKIAIOSFODNN7EXAMPLE"),
    ),
    "a key as a default": ("secrets", put("Parameters/ChatModel/Default", "sk-proj-0123456789")),
    "the gateway's secret in the template": (
        "secrets",
        variable("RIVERRUN_GATEWAY_SECRETS", "between us"),
    ),
    "the gateway's secret as a parameter": (
        "secrets",
        variable("RIVERRUN_GATEWAY_SECRETS", {"Ref": "GatewaySecret"}),
    ),
    "a secret in an output": (
        "secrets",
        put("Outputs/Keys", {"Value": "{{resolve:secretsmanager:keys}}"}),
    ),
    "questions in the API's own log": ("privacy", put(f"{METHODS}/DataTraceEnabled", True)),
    "an API that caches answers": ("privacy", put(f"{METHODS}/CachingEnabled", True)),
    "logs as text": ("logs", put(f"{CHAT}/LoggingConfig/LogFormat", "Text")),
    "logs for ten years": ("logs", put(f"{R}/chatLogs/Properties/RetentionInDays", 3653)),
    "a table that goes with the stack": ("retain", drop(f"{R}/runsTable/DeletionPolicy")),
    "no permission for the table": (
        "permissions",
        put(
            f"{R}/runsRole/Properties/Policies/0/PolicyDocument/Statement/2",
            {"Ref": "AWS::NoValue"},
        ),
    ),
    **{
        f"a {role} that may not {action}": (rule, forbid(role, f"dynamodb:{action}"))
        for role, rule in (
            ("chatRole", "permissions"),
            ("runsRole", "permissions"),
            ("dialectsRole", "permissions"),
            ("webRole", "web-environment"),
        )
        for action in ("DeleteItem", "PutItem", "Query")
    },
    "a key sent in the clear": ("models", put("Parameters/OpenAIBaseUrl/AllowedPattern", ".*")),
    "code from another account": ("code", put(f"{CHAT}/CodeUri", "s3://theirs/code.zip")),
    "a layer from another account": (
        "code",
        put(f"{CHAT}/Layers", ["arn:aws:lambda:eu-west-1:999999999999:layer:x:1"]),
    ),
    "a runtime that is not tested": ("code", put("Globals/Function/Runtime", "python3.8")),
    "keys that reach no function": (
        "parameter",
        together(drop(f"{VARIABLES}/RIVERRUN_API_KEYS"), drop(f"{WEB}/RIVERRUN_API_KEYS")),
    ),
    "a gateway's secret that reaches no function": (
        "parameter",
        together(
            drop(f"{VARIABLES}/RIVERRUN_GATEWAY_SECRETS"), drop(f"{WEB}/RIVERRUN_GATEWAY_SECRETS")
        ),
    ),
    "a WAF that only counts": ("waf", put(f"{R}/webAcl/Properties/Rules/0/Action", {"Count": {}})),
    "a WAF before nothing": ("waf", drop(f"{R}/webAclOnTheApi")),
    "a route that ends after 29 s": (
        "route-timeout",
        drop(f"{CHAT}/Events/ask/Properties/TimeoutInMillis"),
    ),
    "a route that ends after a minute": (
        "route-timeout",
        put(f"{R}/runs/Properties/Events/read/Properties/TimeoutInMillis", 60000),
    ),
    "an edge-optimised API in words": (
        "endpoint",
        put(f"{API}/EndpointConfiguration", {"Type": "EDGE"}),
    ),
}

# What a person may well change, and nothing is wrong with.
HARMLESS: dict[str, Change] = {
    "a longest answer": variable("RIVERRUN_CHAT_TOKENS", 2048),
    "a budget of tokens": variable("RIVERRUN_BUDGET_TOKENS", "5000"),
    "the log group's own ARN with what is in it": put(
        f"{STATEMENTS}/0/Resource", {"Fn::Sub": "${chatLogs.Arn}:*"}
    ),
    "another architecture": put("Globals/Function/Architectures", ["x86_64"]),
    "an older runtime": together(
        put("Globals/Function/Runtime", "python3.13"),
        put(f"{R}/web/Properties/Runtime", "python3.13"),
    ),
    "tags": put(f"{CHAT}/Tags", {"team": "guides"}),
    "tracing": put("Globals/Function/Tracing", "Active"),
    "logs for a fortnight": put("Parameters/LogRetentionDays/Default", 14),
    "five minutes for an answer": put("Parameters/ChatTimeout/Default", 300),
    "a hundred answers at once": put("Parameters/ChatConcurrency/Default", 100),
    "two hundred requests a second": put(f"{METHODS}/ThrottlingRateLimit", 200),
    "no function URL": together(
        drop(f"{CHAT}/FunctionUrlConfig"),
        drop(f"{R}/chatUrlFailures"),
        drop("Outputs/ChatUrl"),
        drop(f"{R}/chatUrlIsOpen"),
        drop(f"{R}/chatMayBeInvokedByItsUrl"),
    ),
    "a threshold as text": put(f"{ALARM}/Threshold", "3"),
    "a permission of this API alone": permission(
        Principal="apigateway.amazonaws.com",
        SourceArn={"Fn::Sub": "arn:aws:execute-api:eu-west-1:1:${api}/live/*"},
    ),
    "a guardrail": allow(
        ["bedrock:ApplyGuardrail"], "arn:aws:bedrock:eu-west-1:123456789012:guardrail/abc"
    ),
    "keys of the customer for the table": put(f"{TABLE}/SSESpecification", {"SSEEnabled": True}),
}


def change_template(change: Change) -> dict[str, Any]:
    """A copy of our template with one change."""
    document = copy.deepcopy(DOCUMENT)
    change(document)
    assert document != DOCUMENT
    return document


@pytest.mark.parametrize("name", MUTANTS)
def test_a_template_that_was_made_worse_is_found(name: str) -> None:
    """By the rule that is for it."""
    rule, change = MUTANTS[name]
    document = change_template(change)
    assert any(
        finding
        for parameters in choices(document)
        for finding in RULES[rule](resolve(document, parameters))
    )


@pytest.mark.parametrize("name", HARMLESS)
def test_a_template_that_is_as_good_is_let_through(name: str) -> None:
    """A false alarm teaches to ignore the next one."""
    document = change_template(HARMLESS[name])
    stacks = [resolve(document, parameters) for parameters in choices(document, 12)]
    assert [found for stack in stacks for rule in RULES.values() for found in rule(stack)] == []


def test_no_alarm_over_the_real_template_with_any_choice_of_parameters() -> None:
    """Fifty choices that CloudFormation would take, other ones than the policy draws."""
    drawn = list(choices(DOCUMENT, 20))
    draw = random.Random(18)
    tried = 0
    while tried < 50:
        mixed = {name: draw.choice(drawn)[name] for name in DOCUMENT["Parameters"]}
        if broken_rules(DOCUMENT, mixed):
            continue
        tried += 1
        stack = resolve(DOCUMENT, mixed)
        assert [found for rule in RULES.values() for found in rule(stack)] == [], mixed
