"""AWS's own Python runtime under our emulator: right for runtimes it was not written with.

`awslambdaric` needs a compiler to install, so an interpreter that has it may be named by
RIVERRUN_STOCK_PYTHON; without one the tests are skipped.
"""

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.emulator.support import FUNCTIONS, PYTHON, RunningCloud, ask, run_cloud

STOCK = os.environ.get("RIVERRUN_STOCK_PYTHON") or (
    PYTHON if importlib.util.find_spec("awslambdaric") else ""
)
needs_stock = pytest.mark.skipif(
    not STOCK, reason="awslambdaric is not installed; RIVERRUN_STOCK_PYTHON names none that has it"
)


def template(folder: Path) -> Path:
    """A function without a wrapper, behind a buffered URL."""
    properties = {
        "FunctionName": "stock",
        "Handler": "stock.handler",
        "CodeUri": str(FUNCTIONS),
        "Timeout": 10,
        "FunctionUrlConfig": {"AuthType": "NONE"},
    }
    function = {"Type": "AWS::Serverless::Function", "Properties": properties}
    path = folder / "template.yaml"
    path.write_text(json.dumps({"Resources": {"Stock": function}}))
    return path


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """A cloud that runs the stock runtime; concurrency mode does not apply to it."""
    path = template(tmp_path_factory.mktemp("stock"))
    with run_cloud(path, options={"python": STOCK}) as started:
        yield started


@pytest.fixture
def lambdas(stock: RunningCloud) -> Iterator[Any]:
    client = boto3.client(
        "lambda",
        endpoint_url=stock.url("invoke"),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )
    yield client
    client.close()


@needs_stock
def test_it_answers_a_function_url_again_and_again(stock: RunningCloud) -> None:
    """Cold, then warm, in one sandbox; each time with an id of its own."""
    seen = {ask(stock.url("url stock") + "/a/b").body.decode() for _ in range(5)}
    assert len(seen) == 5
    assert all(text.startswith("stock ") and text.endswith(" /a/b") for text in seen)


@needs_stock
def test_it_is_invoked_by_boto3(lambdas: Any) -> None:
    """Buffered, and as the one chunk of a response stream."""
    whole = lambdas.invoke(FunctionName="stock", Payload=b"{}")
    assert json.loads(whole["Payload"].read())["left"] is True
    stream = lambdas.invoke_with_response_stream(FunctionName="stock", Payload=b"{}")
    with contextlib.closing(stream["EventStream"]) as source:
        events = list(source)
    assert json.loads(events[0]["PayloadChunk"]["Payload"])["statusCode"] == 200
    assert events[-1]["InvokeComplete"] == {}


@needs_stock
def test_its_errors_are_understood(lambdas: Any) -> None:
    """A raised exception, and a response over 6 MB, which costs it the process."""
    answer = lambdas.invoke(FunctionName="stock", Payload=b'{"raise": true}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorMessage"] == "no"
    answer = lambdas.invoke(FunctionName="stock", Payload=b'{"large": 6300000}')
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"
    answer = lambdas.invoke(FunctionName="stock", Payload=b"{}")
    assert json.loads(answer["Payload"].read())["statusCode"] == 200


def test_without_it_the_emulator_says_so(tmp_path: Path) -> None:
    """502 for the caller, and a line that says what to install."""
    if importlib.util.find_spec("awslambdaric"):
        pytest.skip("awslambdaric is installed here")
    with run_cloud(template(tmp_path)) as cloud:
        assert ask(cloud.url("url stock")).status == 502
        assert cloud.log_lines("install awslambdaric, or set the wrapper")
