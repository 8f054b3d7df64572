"""The template in the hands of AWS's own SAM: its linter, and what its translator makes of it.

The SAM CLI pins older libraries than ours, so it runs in a Python of its own.
"""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.template import defaults, parse_template
from tests.oracles.programs import ORACLES, ROOT

SAM = ORACLES / "sam" / "bin"
TEMPLATE = ROOT / "template.yaml"

pytestmark = pytest.mark.skipif(
    not (SAM / "sam").exists(), reason="the AWS SAM CLI is not installed: tests/oracles/install"
)

# What SAM's service does on AWS, by the same library: a template with values for its parameters
# in, CloudFormation out. The names of managed policies, which this template must not use, are
# the only thing it would ask AWS for.
TRANSLATE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from samtranslator.translator.transform import transform
class NoManagedPolicies:
    def load(self):
        return {}
given = json.load(sys.stdin)
json.dump(transform(given["document"], given["parameters"], NoManagedPolicies()), sys.stdout)
"""


def alone(tmp_path: Path) -> dict[str, str]:
    """An environment without credentials, plug-ins or a say home."""
    return {"HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}


@pytest.mark.soak
def test_sam_validates_and_lints_it(tmp_path: Path) -> None:
    """The real command, without credentials or network; `make validate` calls it as well."""
    done = subprocess.run(
        [SAM / "sam", "validate", "--lint", "--template-file", str(TEMPLATE)],
        cwd=tmp_path,
        env=alone(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout


@cache
def translate(auth: str) -> dict[str, Any]:
    """What SAM makes of it: resources by logical id."""
    # A package that is already in S3, as it is by the time SAM's service reads the template.
    text = TEMPLATE.read_text().replace("CodeUri: .\n", "CodeUri: s3://bucket/key\n")
    document = parse_template(text)
    parameters = {**defaults(document), "AuthType": auth}
    done = subprocess.run(
        [SAM / "python", "-c", TRANSLATE],
        input=json.dumps({"document": document, "parameters": parameters}),
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    resources: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return resources


def settle(value: Any) -> Any:
    """What CloudFormation makes of it where the functions are the host."""
    if isinstance(value, list):
        return [settle(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get("Fn::If"):
        case ["OnFunctions", chosen, {"Ref": "AWS::NoValue"}]:
            return settle(chosen)
    return {key: settle(item) for key, item in value.items()}


@pytest.mark.parametrize("auth", ["AWS_IAM", "NONE"])
def test_sam_streams_every_route(auth: str) -> None:
    """Its word in the template is not API Gateway's in the result: what counts is the result."""
    body = settle(translate(auth)["api"]["Properties"]["Body"])
    assert set(body["paths"]) == {
        *("/api/chat", "/api/chat/runs", "/api/chat/runs/{proxy+}", "/api/health"),
        *("/api/chat/sessions/{proxy+}", "/api/chat/visitors", "/api/sources/{proxy+}"),
        *("/v1/{proxy+}", "/api/ui/{proxy+}", "/api/agui", "/api/agui/{proxy+}"),
    }
    for methods in body["paths"].values():
        (operation,) = methods.values()
        integration = operation["x-amazon-apigateway-integration"]
        assert integration["responseTransferMode"] == "STREAM"
        assert "/2021-11-15/" in integration["uri"]["Fn::Sub"]
        assert "response-streaming-invocations" in integration["uri"]["Fn::Sub"]
        assert operation.get("security") == ([{"AWS_IAM": []}] if auth == "AWS_IAM" else None)
        assert "credentials" not in integration


@pytest.mark.parametrize("auth", ["AWS_IAM", "NONE"])
def test_sam_adds_no_permission_and_no_role_that_we_did_not_write(auth: str) -> None:
    """Every caller is let in by our two conditional permissions alone."""
    made = translate(auth)
    permissions = {
        name: resource.get("Condition")
        for name, resource in made.items()
        if resource["Type"] == "AWS::Lambda::Permission"
        and resource["Properties"]["Principal"] == "*"
    }
    assert permissions == {
        "chatUrlIsOpen": "OpenFunctions",
        "chatMayBeInvokedByItsUrl": "OpenFunctions",
    }
    roles = {
        name: resource["Condition"]
        for name, resource in made.items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    functions = ("chatRole", "runsRole", "healthRole", "dialectsRole")
    assert roles == {**dict.fromkeys(functions, "OnFunctions"), "webRole": "OnWeb"}
    assert made["chatUrl"]["Properties"]["InvokeMode"] == "RESPONSE_STREAM"
