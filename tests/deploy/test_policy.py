"""Every mistake that the policy is for, planted in the real template, is found."""

from pathlib import Path

import pytest

from deploy.policy import RULES, check, findings
from deploy.policy.__main__ import main
from deploy.template import choices, parse_template
from tests.deploy.conftest import ROOT
from tests.deploy.test_policy_mutants import MUTANTS

TEMPLATE = (ROOT / "template.yaml").read_text()

OPEN_URL = "        AuthType: !Ref AuthType\n        InvokeMode"
ASK = """            Path: /api/chat
            Method: any
            # RESPONSE_STREAM is SAM's word for API Gateway's STREAM; SAM ignores any other.
            ResponseTransferMode: RESPONSE_STREAM
"""
SECOND = """  chatMayBeInvokedByItsUrl:
    Type: AWS::Lambda::Permission
    Condition: OpenFunctions
    Properties:
      FunctionName: !Ref chat
      Action: lambda:InvokeFunction
      Principal: '*'
      InvokedViaFunctionUrl: true
"""
FIRST = """      Action: lambda:InvokeFunctionUrl
      Principal: '*'
      FunctionUrlAuthType: NONE
"""
CHAT_LOGS = "                Resource: !GetAtt chatLogs.Arn\n"
SIGNED_INVOKE = """          - Effect: Allow
            Action: lambda:InvokeFunction
            Resource: !GetAtt chat.Arn
            Condition: {Bool: {'lambda:InvokedViaFunctionUrl': 'true'}}
"""
KEYS = """        RIVERRUN_API_KEYS: !If
          - HasVisitorKeys
          - !Sub '{{resolve:secretsmanager:${ApiKeysSecret}:SecretString:::${ApiKeysVersion}}}'
          - !Ref AWS::NoValue
"""
REFERENCE = (
    "!Sub '{{resolve:secretsmanager:${OpenAIKeySecret}:SecretString:::${OpenAIKeyVersion}}}'"
)
MODEL_KEY = f"""OPENAI_API_KEY: !If
            - HasKey
            - {REFERENCE}
            - !Ref AWS::NoValue
"""
RUNS_LOGS = """                Action: ['logs:CreateLogStream', 'logs:PutLogEvents']
                Resource: !GetAtt runsLogs.Arn
"""
CHAT_ROLE = "  chatRole:\n    Type: AWS::IAM::Role\n    Condition: OnFunctions\n    Properties:\n"
RUNS_HANDLER = "      Handler: functions.runs.handler\n"
CHAT_INDEX = "Resource: !Sub '${indexBucket.Arn}/index/*'}"
VECTOR_INDEX = "    Type: AWS::S3Vectors::Index\n    Condition: OnVectors\n"
WATCHED = "      Dimensions: [{Name: FunctionName, Value: !Ref runs}]\n"

# name: (rule, what stands there, what is planted)
MISTAKES = {
    "an open function URL": ("open-door", OPEN_URL, OPEN_URL.replace("!Ref AuthType", "NONE")),
    "an open default": ("open-door", "    Default: AWS_IAM\n", "    Default: NONE\n"),
    "a URL that does not say": ("open-door", OPEN_URL, "        InvokeMode"),
    "an open REST API": (
        "open-door",
        "        DefaultAuthorizer: !Ref AuthType\n",
        "        AddDefaultAuthorizerToCorsPreflight: false\n",
    ),
    "an open REST API in words": (
        "open-door",
        "        DefaultAuthorizer: !Ref AuthType\n",
        "        DefaultAuthorizer: NONE\n",
    ),
    "one open route": (
        "open-door",
        ASK,
        ASK + "            Auth: {Authorizer: NONE}\n",
    ),
    "every caller may invoke, always": (
        "open-door",
        SECOND,
        SECOND.replace("    Condition: OpenFunctions\n", ""),
    ),
    "every caller may invoke, by any way": (
        "open-door",
        SECOND,
        SECOND.replace("      InvokedViaFunctionUrl: true\n", ""),
    ),
    "every caller may change the function": (
        "open-door",
        SECOND,
        SECOND.replace("lambda:InvokeFunction", "lambda:UpdateFunctionCode"),
    ),
    "every caller may take the role": (
        "open-door",
        "Principal: {Service: lambda.amazonaws.com}",
        "Principal: {AWS: '*'}",
    ),
    "no second permission": ("second-permission", SECOND, ""),
    "no first permission": ("second-permission", FIRST, FIRST.replace("'*'", "'123456789012'")),
    "a second permission for another function": (
        "second-permission",
        SECOND,
        SECOND.replace("!Ref chat", "!Ref runs"),
    ),
    "a second permission on another condition": (
        "second-permission",
        SECOND,
        SECOND.replace("Condition: OpenFunctions", "Condition: Forgetful"),
    ),
    "a caller with one of two actions": ("second-permission", SIGNED_INVOKE, ""),
    "an open front without keys": ("keys", KEYS, ""),
    "a function that asks for no key where the others do": (
        "keys",
        "          # It goes on with an answer, so it asks the model too.\n",
        "          RIVERRUN_API_KEYS: '{{resolve:secretsmanager:others}}'\n",
    ),
    "every resource": ("wildcard", CHAT_LOGS, "                Resource: '*'\n"),
    "every resource in a list": ("wildcard", CHAT_LOGS, "                Resource: [x, '*']\n"),
    "every log group": (
        "wildcard",
        CHAT_LOGS,
        "                Resource: !Sub 'arn:aws:logs:${AWS::Region}:${AWS::AccountId}:*'\n",
    ),
    "every table": (
        "wildcard",
        CHAT_LOGS,
        "                Resource: !Sub 'arn:aws:dynamodb:*:${AWS::AccountId}:table/*'\n",
    ),
    "every model": (
        "wildcard",
        "                  Resource: !Split [',', !Ref BedrockModels]\n",
        "                  Resource: 'arn:aws:bedrock:*::foundation-model/*'\n",
    ),
    "every object of the bucket": (
        "wildcard",
        CHAT_INDEX,
        CHAT_INDEX.replace("/index/*", "/*"),
    ),
    "every object of every bucket": (
        "wildcard",
        CHAT_INDEX,
        CHAT_INDEX.replace("${indexBucket.Arn}/index/*", "arn:aws:s3:::*/index/*"),
    ),
    "every vector index": (
        "wildcard",
        "'s3vectors:GetVectors'], Resource: !GetAtt vectorIndex.IndexArn}",
        "'s3vectors:GetVectors'], Resource: '*'}",
    ),
    "whatever can be done with vectors": (
        "wildcard",
        "['s3vectors:QueryVectors', 's3vectors:GetVectors']",
        "['s3vectors:*']",
    ),
    "a bucket that may become public": (
        "bucket",
        "        RestrictPublicBuckets: true\n",
        "",
    ),
    "a bucket that is half closed": (
        "bucket",
        "        BlockPublicPolicy: true\n",
        "        BlockPublicPolicy: false\n",
    ),
    "a bucket that is read in the clear": (
        "bucket",
        "{'aws:SecureTransport': 'false'}",
        "{'aws:SecureTransport': 'true'}",
    ),
    "a policy of another bucket": (
        "bucket",
        "      Bucket: !Ref indexBucket\n",
        "      Bucket: b\n",
    ),
    "an index that goes with the stack": (
        "retain",
        VECTOR_INDEX + "    DeletionPolicy: Retain\n",
        VECTOR_INDEX,
    ),
    "runs that go with another name": (
        "retain",
        "    Condition: Durable\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n",
        "    Condition: Durable\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Delete\n",
    ),
    "every action": (
        "wildcard",
        RUNS_LOGS,
        RUNS_LOGS.replace("['logs:CreateLogStream', 'logs:PutLogEvents']", "'logs:*'"),
    ),
    "every action but one": (
        "wildcard",
        "            Action: execute-api:Invoke\n",
        "            NotAction: execute-api:ManageConnections\n",
    ),
    "a managed policy": (
        "wildcard",
        CHAT_ROLE,
        CHAT_ROLE
        + "      ManagedPolicyArns: ['arn:aws:iam::aws:policy/AmazonBedrockFullAccess']\n",
    ),
    "one of SAM's policy templates": (
        "wildcard",
        RUNS_HANDLER,
        RUNS_HANDLER + "      Policies: [DynamoDBCrudPolicy: {TableName: '*'}]\n",
    ),
    "no concurrency limit": (
        "concurrency",
        "ReservedConcurrentExecutions: !If [Reserved, !Ref ChatConcurrency, !Ref AWS::NoValue]",
        "Tags: {}",
    ),
    "a concurrency of nothing": (
        "concurrency",
        "      ReservedConcurrentExecutions: !If [Reserved, 2, !Ref AWS::NoValue]\n",
        "      ReservedConcurrentExecutions: 0\n",
    ),
    "a concurrency limit that may be left out": (
        "concurrency",
        "!If [Reserved, !Ref RunsConcurrency, !Ref AWS::NoValue]",
        "!If [Forgetful, !Ref AWS::NoValue, 5]",
    ),
    "no concurrency limit unless asked": (
        "concurrency",
        "    Default: 'on'\n",
        "    Default: 'off'\n",
    ),
    "an open Web Function by default": (
        "web-door",
        "AuthType: !If [Open, ApplicationManaged, IamAuth]",
        "AuthType: ApplicationManaged",
    ),
    "a signature that no door asks for": (
        "web-door",
        "RIVERRUN_SIGNED: !If [Signed, 'on', !Ref AWS::NoValue]",
        "RIVERRUN_SIGNED: 'on'",
    ),
    "environments without end": (
        "web-cap",
        "      ScalingConfig: {MaxEnvironments: !Ref MaxEnvironments}\n",
        "",
    ),
    "requests without end": ("web-cap", "      ThrottleConfig: {RateLimit: 100}\n", ""),
    "a Web Function that is not told its limit": (
        "web-environment",
        "        RIVERRUN_WEB_TIMEOUT: !Ref ChatTimeout\n",
        "",
    ),
    "an empty value": (
        "web-environment",
        "!If [HasChatModel, !Ref ChatModel, !Ref AWS::NoValue]",
        "!Ref ChatModel",
    ),
    "a Web Function that forgets": (
        "web-environment",
        "        RIVERRUN_LOG: !Sub 'dynamodb://${runsTable}'\n",
        "        RIVERRUN_LOG: 'memory://'\n",
    ),
    "memory for many environments": (
        "web-environment",
        "      - Assert: !Equals [!Ref Log, dynamodb]\n        AssertDescription: >-\n",
        "      - Assert: !Equals [!Ref Host, web]\n        AssertDescription: >-\n",
    ),
    "SAM's own role for the Web Function": (
        "web-environment",
        "      ExecutionRoleArn: !GetAtt webRole.Arn\n",
        "",
    ),
    "a Web Function whose failures are silent": (
        "web-alarms",
        "      MetricName: HTTPResponseStatusClass5XX\n",
        "      MetricName: HTTPResponseStatusClass4XX\n",
    ),
    "a start that fails in silence": ("web-alarms", "platform.initReport", "platform.initStart"),
    "the value that SAM ignores": (
        "transfer-mode",
        ASK,
        ASK.replace("RESPONSE_STREAM\n", "STREAM\n"),
    ),
    "the value in small letters": (
        "transfer-mode",
        ASK,
        ASK.replace("Mode: RESPONSE_STREAM\n", "Mode: response_stream\n"),
    ),
    "the property that SAM ignores": (
        "transfer-mode",
        ASK,
        ASK.replace("ResponseTransferMode:", "InvokeMode:"),
    ),
    "a buffered route": (
        "transfer-mode",
        ASK,
        ASK.replace("Mode: RESPONSE_STREAM\n", "Mode: BUFFERED\n"),
    ),
    "a buffered URL": ("transfer-mode", "        InvokeMode: RESPONSE_STREAM\n", ""),
    "streams before a buffered runtime": (
        "transfer-mode",
        "RIVERRUN_INVOKE_MODE: response_stream",
        "RIVERRUN_INVOKE_MODE: buffered",
    ),
    "an HTTP API": (
        "transfer-mode",
        "        ask:\n          Type: Api\n",
        "        ask:\n          Type: HttpApi\n",
    ),
    "an edge-optimised API": (
        "endpoint",
        "      EndpointConfiguration: {Type: REGIONAL}\n",
        "",
    ),
    "SAM's own API": (
        "endpoint",
        "            RestApiId: !Ref api\n            Path: /api/health\n",
        "            Path: /api/health\n",
    ),
    "no wrapper": ("wrapper", "        AWS_LAMBDA_EXEC_WRAPPER: /var/task/bootstrap\n", ""),
    "a wrapper elsewhere": ("wrapper", "/var/task/bootstrap", "/opt/bootstrap"),
    "a role for two": ("own-role", "!GetAtt runsRole.Arn", "!GetAtt chatRole.Arn"),
    "SAM's own role": ("own-role", "      Role: !GetAtt healthRole.Arn\n", ""),
    "logs without a group": (
        "logs",
        "      LoggingConfig: {LogFormat: JSON, LogGroup: !Ref chatLogs}\n",
        "      LoggingConfig: {LogFormat: JSON}\n",
    ),
    "logs for ever": (
        "logs",
        "-runs', RetentionInDays: !Ref LogRetentionDays}",
        "-runs'}",
    ),
    "a function without an alarm": (
        "alarms",
        WATCHED,
        WATCHED.replace("!Ref runs", "!Ref chat"),
    ),
    "Lambda's own three seconds": ("limits", "      Timeout: 20\n", ""),
    "an API without a throttle": ("limits", "ThrottlingRateLimit: 50, ", ""),
    "a secret in the template": (
        "secrets",
        "        RIVERRUN_CHAT: !Ref Chat\n",
        "        RIVERRUN_CHAT: !Ref Chat\n        OTHER_API_KEY: sk-1234\n",
    ),
    "the key of a model in a parameter": (
        "secrets",
        MODEL_KEY,
        MODEL_KEY.replace(REFERENCE, "!Ref OpenAIKeySecret"),
    ),
    "the key of a model in the template": ("secrets", MODEL_KEY, "OPENAI_API_KEY: sk-1234\n"),
    "a secret in a parameter": (
        "secrets",
        "        RIVERRUN_CHAT: !Ref Chat\n",
        "        RIVERRUN_CHAT: !Ref Chat\n        OTHER_API_KEY: !Ref Chat\n",
    ),
}


def test_our_template_has_nothing_to_find() -> None:
    """With its defaults, and whatever else its parameters offer."""
    assert check(parse_template(TEMPLATE)) == []
    assert len(list(choices(parse_template(TEMPLATE)))) == 241


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_found(name: str) -> None:
    """By the rule that is for it."""
    rule, there, planted = MISTAKES[name]
    assert there in TEMPLATE
    found = findings(parse_template(TEMPLATE.replace(there, planted)))
    assert any(finding.rule == rule for finding in found)


def test_every_rule_has_a_mistake_that_it_finds() -> None:
    """A rule that never speaks guards nothing."""
    planted = {rule for rule, _, _ in MISTAKES.values()}
    assert planted | {rule for rule, _ in MUTANTS.values()} == set(RULES)


def test_a_finding_is_one_line_with_its_place_and_its_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a person, and for `make validate`."""
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE.replace(SECOND, ""))
    assert main([str(path)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}: chat: is open, but no permission has lambda:InvokeFunction ")
    assert line.endswith("[second-permission]")


@pytest.mark.parametrize(
    "text", ["", "[]", "Resources: 1", "Resources: {a: 1}", "a: [", "a: !Sub {"]
)
def test_what_is_no_template_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Exit status 2, and no traceback."""
    path = tmp_path / "template.yaml"
    path.write_text(text)
    assert main([str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main([str(tmp_path / "missing.yaml")]) == 2


def test_a_second_key_cannot_hide_the_first() -> None:
    """YAML would keep the last one in silence."""
    doubled = TEMPLATE.replace(
        "        InvokeMode: RESPONSE_STREAM\n",
        "        InvokeMode: RESPONSE_STREAM\n        InvokeMode: BUFFERED\n",
    )
    with pytest.raises(Exception, match="InvokeMode' is there twice"):
        parse_template(doubled)


def test_plain_cloudformation_is_held_to_the_same() -> None:
    """SAM is a way of writing; what is deployed decides."""
    found = check(
        parse_template(
            """
Resources:
  f:
    Type: AWS::Lambda::Function
    Properties: {Handler: a.b, Role: !GetAtt r.Arn}
  url:
    Type: AWS::Lambda::Url
    Properties: {TargetFunctionArn: !GetAtt f.Arn, AuthType: NONE}
  method:
    Type: AWS::ApiGateway::Method
    Properties:
      HttpMethod: GET
      AuthorizationType: NONE
      Integration:
        ResponseTransferMode: STREAM
        Uri: !Sub 'arn:aws:apigateway:x:lambda:path/2015-03-31/functions/${f.Arn}/invocations'
  r:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: ['arn:aws:iam::aws:policy/AdministratorAccess']
      AssumeRolePolicyDocument:
        Statement: {Effect: Allow, Principal: '*', Action: 'sts:AssumeRole'}
"""
        )
    )
    assert {(f.rule, f.where) for f in found} >= {
        ("open-door", "method"),
        ("open-door", "r"),
        ("open-door", "url"),
        ("second-permission", "url"),
        ("wildcard", "r"),
        ("concurrency", "f"),
        ("transfer-mode", "method"),
    }
