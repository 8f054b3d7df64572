"""What is read from template.yaml."""

from pathlib import Path

import pytest

from emulator.cloudformation import EmulatorSetupError
from emulator.template import Template, read_template
from tests.emulator.support import TEMPLATE


def read(folder: Path, text: str) -> Template:
    path = folder / "template.yaml"
    path.write_text(text)
    return read_template(path)


FUNCTION = """
Resources:
  A:
    Type: AWS::Serverless::Function
    Properties: {Handler: a.app}
"""


def test_globals_are_inherited_and_variables_merged() -> None:
    """A function's own properties win; environment variables are merged one by one."""
    template = read_template(TEMPLATE)
    chat, plain, brief, _ = template.functions
    assert (chat.timeout, brief.timeout, plain.memory) == (120.0, 1.0, 256)
    assert chat.environment["AWS_LAMBDA_EXEC_WRAPPER"] == "/var/task/bootstrap"
    assert chat.environment["GREETING"] == "hello-us-east-1"
    assert "GREETING" not in plain.environment
    assert brief.reserved == 2


def test_defaults_are_those_of_lambda(tmp_path: Path) -> None:
    """Three seconds, 128 MB, no URL."""
    (only,) = read(tmp_path, FUNCTION).functions
    assert (only.name, only.timeout, only.memory, only.url) == ("A", 3.0, 128, None)
    assert only.root == tmp_path.resolve()


def test_routes_stream_only_where_sam_would_make_them() -> None:
    """RESPONSE_STREAM streams; STREAM is ignored, and said."""
    template = read_template(TEMPLATE)
    seen = {route.path: route.streaming for route in template.rest_routes}
    assert seen == {
        "/api/chat": True,
        "/api/chat/{proxy+}": True,
        "/slow": True,
        "/wrong": False,
    }
    assert any("write RESPONSE_STREAM" in note for note in template.notes)


def test_what_is_not_emulated_is_said(tmp_path: Path) -> None:
    """Runtimes, resources and events that nothing here stands for."""
    text = FUNCTION.replace(
        "Properties: {Handler: a.app}",
        "Properties: {Handler: a.app, Runtime: nodejs22.x, Events: {Q: {Type: SQS}}}\n"
        "  T: {Type: AWS::DynamoDB::Table}\n"
        "  Q: {Type: AWS::SQS::Queue}",
    )
    assert read(tmp_path, text).notes == (
        "A: an event of type SQS is not emulated.",
        "A: Runtime: nodejs22.x is not emulated; Python is started.",
        "Not emulated: AWS::DynamoDB::Table, AWS::SQS::Queue.",
    )


def test_a_definition_body_is_read(tmp_path: Path) -> None:
    """Routes written as OpenAPI: streamed with the streaming URI and transfer mode, both."""
    template = read(
        tmp_path,
        FUNCTION
        + """
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: live
      EndpointConfiguration: {Type: REGIONAL}
      BinaryMediaTypes: [image~1*]
      DefinitionBody:
        paths:
          /a:
            post:
              x-amazon-apigateway-integration:
                uri: !Sub "arn:x:2021-11-15/functions/${A.Arn}/response-streaming-invocations"
                responseTransferMode: STREAM
                timeoutInMillis: 60000
          /b:
            x-amazon-apigateway-any-method:
              x-amazon-apigateway-integration:
                uri: !Sub "arn:x:lambda:path/2015-03-31/functions/${A.Arn}/invocations"
                responseTransferMode: STREAM
""",
    )
    first, second = template.rest_routes
    assert (first.method, first.streaming, first.timeout, first.function) == ("POST", True, 60, "A")
    assert (second.method, second.streaming) == ("ANY", False)
    api = template.rest_api
    assert (api.stage, api.edge, api.binary_types) == ("live", False, ("image/*",))


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("!Ref Name", "default"),
        ("!Ref AWS::Region", "us-east-1"),
        ('!Sub "${Name}-${!Left}"', "default-${Left}"),
        ('!Sub ["${A}", {A: b}]', "b"),
        ('!Join ["-", [a, !Ref Name]]', "a-default"),
        ("true", "true"),
        ("12", "12"),
        ("!Ref Table", None),
        ("!GetAtt Table.Arn", None),
        ('!Sub "x-${Table}"', None),
        ("!If [Unknown, a, b]", None),
        ("!If [IsDefault, a, b]", "a"),
        ("!If [IsOther, a, !Ref Name]", "default"),
        ("!If [Both, a, b]", "b"),
        ("!If [Either, !If [IsOther, a, b], c]", "b"),
        ("!If [OfTable, a, b]", None),
        ('"{{resolve:secretsmanager:x}}"', None),
        ('!Sub "{{resolve:secretsmanager:${Name}}}"', None),
    ],
)
def test_values_are_resolved_or_left_unset(
    tmp_path: Path, written: str, read_as: str | None
) -> None:
    """Parameters, pseudo parameters and literals are known; resources are not."""
    template = read(
        tmp_path,
        "Parameters: {Name: {Type: String, Default: default}, None: {Type: String}}\n"
        "Conditions:\n"
        "  IsDefault: !Equals [!Ref Name, default]\n"
        "  IsOther: !Not [!Condition IsDefault]\n"
        "  Both: !And [!Condition IsDefault, !Condition IsOther]\n"
        "  Either: !Or [!Condition IsDefault, !Condition IsOther]\n"
        "  OfTable: !Equals [!Ref Table, x]\n"
        + FUNCTION.replace(
            "{Handler: a.app}",
            f"\n      Handler: a.app\n      Environment: \n        Variables:\n"
            f"          V: {written}",
        ),
    )
    assert template.functions[0].environment.get("V") == read_as
    assert bool(template.notes) == (read_as is None)


def test_a_variable_that_is_no_value_is_not_there(tmp_path: Path) -> None:
    """Nor is it worth a remark."""
    template = read(
        tmp_path,
        FUNCTION.replace(
            "a.app}", "a.app, Environment: {Variables: {V: !Ref AWS::NoValue, W: w}}}"
        ),
    )
    assert template.functions[0].environment == {"W": "w"}
    assert template.notes == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "cannot be read"),
        ("- 1", "is not a CloudFormation template"),
        ("Resources: {}", "declares no AWS::Serverless::Function"),
        (FUNCTION.replace("a.app", "a.app, Timeout: soon"), "'soon' where a number is due"),
    ],
)
def test_a_template_that_makes_no_sense_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    """What is wrong, and where."""
    with pytest.raises(EmulatorSetupError, match=words) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
