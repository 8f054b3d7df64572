"""One handler function under AWS's Python runtime and under ours: the caller sees the same.

In the classic cloud, one invocation per sandbox, as the stock runtime has it.
"""

import importlib.util
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulator.support import RunningCloud, run_cloud
from tests.oracles.programs import FUNCTIONS, ROOT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("awslambdaric") is None, reason="awslambdaric is not installed"
)
CASES = [
    "nothing", "text", "bytes inside", "bytes that are no text", "bytes", "decimals",
    "odd decimals", "floats", "a named tuple", "_asdict", "a tuple", "an enum", "keys",
    "an odd key", "a set", "an object", "a namespace", "fail", "chain", "alarm", "loop", "thread",
    "database", "missing",
]  # fmt: skip


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningCloud]:
    """On demand: the stock runtime knows nothing else here."""
    environ = {"PYTHONPATH": str(ROOT)}
    with run_cloud(
        FUNCTIONS / "template_contract.yaml", concurrency=None, environ=environ
    ) as started:
        yield started


def view(lambdas: Any, function: str, payload: Any) -> tuple[str | None, Any]:
    """What the caller gets: the error's kind, and the answer."""
    answer = lambdas.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
    body = answer["Payload"].read()
    if answer.get("FunctionError"):
        error = json.loads(body)
        error.pop("requestId", None)
        if error.get("errorType") == "Runtime.MarshalError":
            error["errorMessage"] = error["errorMessage"].partition(":")[0]  # each has its encoder
        error.setdefault("stackTrace", [])
        error["errorMessage"] = re.sub(r"RequestId: \S+ ", "", error["errorMessage"])
        return answer["FunctionError"], error
    return None, body


@pytest.mark.parametrize("case", CASES)
def test_a_case_ends_as_under_the_stock_runtime(lambdas: Any, case: str) -> None:
    """Results to the byte, errors with type, message and frames, code that needs the thread."""
    payload = {"case": case}
    assert view(lambdas, "ours", payload) == view(lambdas, "stock", payload)


@pytest.mark.parametrize("status", [0, 3, "a reason"])
def test_an_exit_ends_the_sandbox_with_its_status(lambdas: Any, status: Any) -> None:
    """As AWS's runtime does; the next invocation has a new sandbox."""
    payload = {"case": "exit", "status": status}
    assert view(lambdas, "ours", payload) == view(lambdas, "stock", payload)
    assert view(lambdas, "ours", {"case": "thread"}) == (None, b"true")


def test_mangum_inside_a_handler_function_answers(lambdas: Any) -> None:
    """Its documented wrapper: `def handler(event, context): return mangum(event, context)`."""
    payload = {
        "version": "2.0",
        "rawPath": "/a/b",
        "rawQueryString": "",
        "headers": {"host": "x"},
        "requestContext": {"http": {"method": "GET", "path": "/a/b", "sourceIp": "127.0.0.1"}},
    }
    kind, body = view(lambdas, "ours", payload)
    assert (kind, body) == view(lambdas, "stock", payload)
    assert json.loads(body)["statusCode"] == 201
