"""The Invoke API, asked by the real boto3."""

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from emulator.faults import Fault
from tests.emulator.support import PATIENCE, Gate, RunningCloud, ask, process_state


@pytest.fixture
def lambdas(cloud: RunningCloud) -> Iterator[Any]:
    """A Lambda client that asks once and waits long enough."""
    client = boto3.client(
        "lambda",
        endpoint_url=cloud.url("invoke"),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}, read_timeout=30, max_pool_connections=60),
    )
    yield client
    client.close()


def stream(lambdas: Any, order: dict[str, Any], name: str = "chat", **more: Any) -> Any:
    return lambdas.invoke_with_response_stream(
        FunctionName=name, Payload=json.dumps(order).encode(), **more
    )


def read(answer: Any) -> tuple[bytes, dict[str, str]]:
    """The payload of a response stream, and how it completed."""
    body, complete = b"", None
    with contextlib.closing(answer["EventStream"]) as events:
        for event in events:
            if "PayloadChunk" in event:
                body += event["PayloadChunk"]["Payload"]
            else:
                complete = event["InvokeComplete"]
    assert complete is not None
    return body, complete


def test_invoke_gives_the_whole_response(lambdas: Any) -> None:
    """A buffered response comes back as it was posted."""
    answer = lambdas.invoke(FunctionName="chat", Payload=b'{"whole": {"a": 1}}')
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert json.loads(answer["Payload"].read()) == {"a": 1}
    assert "FunctionError" not in answer


def test_the_sdk_is_told_the_invocations_own_id(lambdas: Any, cloud: RunningCloud) -> None:
    """What the SDK logs as its request id is what the function logs as its own."""
    answer = lambdas.invoke(FunctionName="chat", Payload=b'{"echo": 1}')
    headers = json.loads(answer["Payload"].read())["headers"]
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert headers["Lambda-Runtime-Aws-Request-Id"] == request_id
    got = ask(cloud.url("url chat"), {"echo": 1})
    assert got.header("x-amzn-RequestId") == got.json["headers"]["Lambda-Runtime-Aws-Request-Id"]


def test_invoke_concatenates_a_stream(lambdas: Any) -> None:
    """Who invokes without streaming gets the streamed bytes in one piece."""
    answer = lambdas.invoke(FunctionName="chat", Payload=b'{"say": ["a", "b"]}')
    assert answer["Payload"].read() == b"ab"


def test_frames_arrive_before_the_function_ends(lambdas: Any, gate: Gate) -> None:
    """The client has the first frame before the function is allowed to write the second."""
    answer = stream(lambdas, {"say": ["one", "two", "three"], "gate": gate.port})
    with contextlib.closing(answer["EventStream"]) as source:
        events = iter(source)
        for said in (b"one", b"two", b"three"):
            if said != b"one":
                gate.open()
            assert next(events)["PayloadChunk"]["Payload"] == said
        assert next(events)["InvokeComplete"] == {}


def test_the_prelude_is_not_interpreted_for_an_sdk(lambdas: Any) -> None:
    """Prelude and NULs are part of the payload."""
    body, _ = read(stream(lambdas, {"say": ["x"], "prelude": {"statusCode": 201}}))
    assert body == b'{"statusCode": 201}' + b"\0" * 8 + b"x"


def test_trailers_become_the_error_of_the_completion(lambdas: Any) -> None:
    """An error after the first byte is told at the end, with what was said before."""
    body, complete = read(stream(lambdas, {"say": ["half"], "trouble": "upstream closed"}))
    assert body == b"half"
    assert complete["ErrorCode"] == "Runtime.StreamError"
    assert json.loads(complete["ErrorDetails"])["errorMessage"] == "upstream closed"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"fail": "no"}, "Function.Boom"),
        ({"exit": "before"}, "Runtime.ExitError"),
        ({"say": ["x"], "exit": "after"}, "Runtime.ExitError"),
        ({"say": ["x"], "cut": True}, "Runtime.TruncatedResponse"),
        ({"say": ["x"], "mode": "Streaming"}, "Runtime.InvalidResponseModeHeader"),
    ],
)
def test_each_way_to_fail_has_its_code(lambdas: Any, order: dict[str, Any], code: str) -> None:
    """A crash, a cut, a bad header: the stream completes, and says which it was."""
    _, complete = read(stream(lambdas, order, name="plain"))
    assert complete["ErrorCode"] == code


def test_a_failed_invoke_says_unhandled(lambdas: Any) -> None:
    """The error document is the payload."""
    answer = lambdas.invoke(FunctionName="chat", Payload=b'{"fail": "no"}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorMessage"] == "no"


def test_a_function_that_cannot_start_says_why(lambdas: Any) -> None:
    """The init error reaches the caller."""
    answer = lambdas.invoke(FunctionName="broken", Payload=b"{}")
    assert json.loads(answer["Payload"].read())["errorMessage"] == "no such module"


def test_a_timeout_is_told_and_the_process_lives_on(lambdas: Any) -> None:
    """In concurrency mode the caller gets the timeout, other streams keep their process."""

    def answer_in_time(said: str) -> tuple[bytes, Any]:
        # Within its second; a busy machine may need it itself, and is asked again.
        answers = (read(stream(lambdas, {"say": [said]}, name="brief")) for _ in range(10))
        return next(answer for answer in answers if answer[1] == {})

    assert answer_in_time("x") == (b"x", {})
    _, complete = read(stream(lambdas, {"say": ["x", "y"], "gap": 3}, name="brief"))
    assert complete["ErrorCode"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in complete["ErrorDetails"]
    assert answer_in_time("z") == (b"z", {})


def test_an_asynchronous_invocation_is_accepted_at_once(lambdas: Any, cloud: RunningCloud) -> None:
    """Event: 202, and the function runs."""
    order = b'{"whole": 1, "log": ["ran without a caller"]}'
    answer = lambdas.invoke(FunctionName="chat", InvocationType="Event", Payload=order)
    assert answer["StatusCode"] == 202
    wait_for(lambda: bool(cloud.log_lines("ran without a caller")))


def test_a_dry_run_runs_nothing(lambdas: Any) -> None:
    """DryRun: 204."""
    answer = lambdas.invoke(FunctionName="chat", InvocationType="DryRun")
    assert answer["StatusCode"] == 204


def test_the_log_tail_comes_with_the_answer(lambdas: Any, cloud: RunningCloud) -> None:
    """LogType=Tail: the last lines, in base64."""
    order = b'{"log": ["a line to find"], "whole": 1}'
    lambdas.invoke(FunctionName="chat", Payload=order)["Payload"].read()
    wait_for(lambda: bool(cloud.log_lines("a line to find")))
    answer = lambdas.invoke(FunctionName="chat", LogType="Tail", Payload=order)
    assert answer["Payload"].read() == b"1"
    assert b"a line to find" in base64.b64decode(answer["LogResult"])


def test_the_context_reaches_the_function(lambdas: Any) -> None:
    """Client context, tenant and trace travel as headers of `/next`."""
    context = base64.b64encode(b'{"custom": {"a": "b"}}').decode()
    answer = stream(lambdas, {"echo": 1}, ClientContext=context, TenantId="t1")
    headers = {k.lower(): v for k, v in json.loads(read(answer)[0])["headers"].items()}
    assert json.loads(headers["lambda-runtime-client-context"]) == {"custom": {"a": "b"}}
    assert headers["lambda-runtime-aws-tenant-id"] == "t1"
    assert headers["lambda-runtime-trace-id"].startswith("Root=1-")
    assert headers["lambda-runtime-invoked-function-arn"].endswith(":function:chat")
    left = int(headers["lambda-runtime-deadline-ms"]) / 1000 - time.time()
    assert 10 < left <= 120


@pytest.mark.parametrize(
    "name",
    [
        "ChatFunction",
        "123456789012:function:chat",
        "chat:live",
        "arn:aws:lambda:us-east-1:123456789012:function:chat",
        "arn:aws:lambda:us-east-1:123456789012:function:chat:live",
    ],
)
def test_a_function_has_many_names(lambdas: Any, name: str) -> None:
    """Logical id, partial ARN, ARN, each with a qualifier."""
    answer = lambdas.invoke(FunctionName=name, Payload=b'{"whole": 2}')
    assert answer["Payload"].read() == b"2"


@pytest.mark.parametrize(
    ("ask_for", "code"),
    [
        ({"FunctionName": "unknown"}, "ResourceNotFoundException"),
        ({"FunctionName": "chat", "Payload": b"{"}, "InvalidRequestContentException"),
        (
            {"FunctionName": "chat", "Payload": b" " * (6 * 1024 * 1024 + 1)},
            "RequestTooLargeException",
        ),
        ({"FunctionName": "chat", "InvocationType": "Sometimes"}, "InvalidParameterValueException"),
    ],
)
def test_service_errors_are_the_sdks_own(lambdas: Any, ask_for: dict[str, Any], code: str) -> None:
    """boto3 recognises each by its name."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        lambdas.invoke(**ask_for)
    assert caught.value.response["Error"]["Code"] == code


def test_a_cut_stream_raises_in_the_client(lambdas: Any, cloud: RunningCloud) -> None:
    """The connection ends in the middle of a frame, and boto3 says so."""
    cloud.break_with(Fault(kind="cut", at=150, front="invoke-api"))
    with pytest.raises(Exception, match=r"(?i)incomplete|connection|ended"):
        read(stream(lambdas, {"say": ["x" * 100]}))


def test_a_killed_function_completes_with_its_exit(lambdas: Any, cloud: RunningCloud) -> None:
    """SIGKILL at byte 3: what was said, then Runtime.ExitError; the next one is served."""
    cloud.break_with(Fault(kind="kill", at=3, front="invoke-api"))
    body, complete = read(stream(lambdas, {"say": ["abcdef"]}))
    assert body == b"abc"
    assert complete["ErrorCode"] == "Runtime.ExitError"
    assert read(stream(lambdas, {"say": ["g"]})) == (b"g", {})


def test_six_megabytes_and_a_bit_can_be_streamed_but_not_buffered(lambdas: Any) -> None:
    """The buffered limit is the invoker's, not the stream's."""
    size = 6 * 1024 * 1024 + 101
    body, complete = read(stream(lambdas, {"bytes": size}))
    assert (len(body), complete) == (size, {})
    answer = lambdas.invoke(FunctionName="chat", Payload=json.dumps({"bytes": size}).encode())
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_throttled_call_is_the_sdks_own_exception(lambdas: Any, cloud: RunningCloud) -> None:
    """TooManyRequestsException, with its reason."""
    plain = cloud.cloud.functions["plain"]
    plain.busy += 64  # as if every place were taken
    try:
        with pytest.raises(lambdas.exceptions.TooManyRequestsException) as caught:
            lambdas.invoke(FunctionName="plain")
    finally:
        plain.busy -= 64
    assert caught.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"


def test_the_admin_door_is_closed_to_browsers(cloud: RunningCloud) -> None:
    """A page of another origin cannot kill a function."""
    base = cloud.url("invoke")
    foreign = [("Origin", "https://evil.example")]
    assert ask(f"{base}/emulator", headers=foreign).status == 403
    listing = ask(f"{base}/emulator").json
    assert [f["name"] for f in listing["functions"]] == ["chat", "plain", "brief", "broken"]
    plain = ask(f"{base}/emulator/faults", method="POST", body=b'{"kind": "cut"}')
    assert plain.status == 415


def test_faults_come_and_go_by_the_admin_door(cloud: RunningCloud) -> None:
    """POST adds, DELETE clears, nonsense is refused with what is known."""
    url = f"{cloud.url('invoke')}/emulator/faults"
    head = [("Content-Type", "application/json")]
    rule = b'{"kind": "cut", "at": 5, "function": "unknown"}'
    listed = ask(url, method="POST", headers=head, body=rule).json["faults"]
    assert [(f["kind"], f["at"], f["met"]) for f in listed if f["function"] == "unknown"] == [
        ("cut", 5, 0)
    ]
    refused = ask(url, method="POST", headers=head, body=b'{"kind": "melt"}')
    assert refused.status == 400
    assert "coalesce" in refused.json["error"]
    assert ask(url, method="DELETE").json == {"faults": []}


def test_a_function_can_be_frozen_and_thawed(lambdas: Any, cloud: RunningCloud) -> None:
    """SIGSTOP and SIGCONT, by the admin door."""
    base = f"{cloud.url('invoke')}/emulator/functions/plain"
    read(stream(lambdas, {"say": ["up"]}, name="plain"))
    frozen = ask(f"{base}/freeze", method="POST").json
    pid = frozen["sandboxes"][0]["pid"]
    wait_for(lambda: process_state(pid) == "T")
    ask(f"{base}/thaw", method="POST")
    assert read(stream(lambdas, {"say": ["again"]}, name="plain")) == (b"again", {})


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Poll for what another process does in its own time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)
