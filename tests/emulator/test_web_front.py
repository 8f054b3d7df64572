"""A Web Function behind its endpoint: header rules, limits, the cut, and how it ends."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator.cloudformation import EmulatorSetupError
from emulator.faults import Fault
from emulator.template import read_template
from emulator.web_front import WebOptions
from tests.emulator.support import (
    FUNCTIONS,
    Got,
    RunningCloud,
    ask,
    ask_until,
    raw,
    read_until,
    run_cloud,
)

TEMPLATE = FUNCTIONS / "web" / "template.yaml"
URL = "web tiny-web"
# The first chunk of a stream. A dot alone is in "HTTP/1.1" too.
DOT = b"1\r\n.\r\n"


@pytest.fixture(scope="module")
def web() -> Iterator[RunningCloud]:
    """A Web Function that any caller reaches."""
    with run_cloud(TEMPLATE) as started:
        yield started


def header_names(got: Got) -> set[str]:
    return {name.lower() for name, _ in got.json["headers"]}


def wait_for_line(cloud: RunningCloud, text: str) -> None:
    """Until the log has it; a minute is the end of patience."""
    for _ in range(3000):
        if cloud.log_lines(text):
            return
        threading.Event().wait(0.02)
    raise AssertionError(f"no line says {text[:80]}")


def test_a_request_arrives_less_what_belongs_to_a_hop(web: RunningCloud) -> None:
    """And with what AWS adds; the application sees the endpoint's own domain."""
    sent = [
        ("Connection", "x-mine"),
        ("X-Mine", "1"),
        ("TE", "trailers"),
        ("X-Real-IP", "1.2.3.4"),
        ("X-HTTP-Method-Override", "PUT"),
        ("lambda-web-anything", "1"),
        ("X-Forwarded-For", "9.9.9.9"),
        ("X-Forwarded-Host", "page.example"),
        ("Authorization", "Bearer key"),
    ]
    got = ask(f"{web.url(URL)}/a%20b?c=d", headers=sent, method="POST", body=b"hello")
    assert (got.status, got.json["method"], got.json["path"]) == (200, "POST", "/a%20b")
    assert got.json["body"] == "hello"
    kept = {name.lower(): value for name, value in got.json["headers"]}
    gone = {"connection", "x-mine", "te", "x-real-ip", "x-http-method-override"}
    assert not kept.keys() & (gone | {"lambda-web-anything"})
    assert kept["x-forwarded-for"] == "9.9.9.9, 127.0.0.1"
    assert kept["x-forwarded-host"] == "page.example"
    assert kept["authorization"] == "Bearer key"
    assert ".lambda-web." in kept["host"]
    assert kept["lambda-web-request-id"] == got.header("lambda-web-request-id")
    assert not got.header("keep-alive")
    assert got.header("x-own") == "yes"


def test_the_environment_is_a_web_functions(web: RunningCloud) -> None:
    """No word of a deadline, and the Runtime API's address all the same."""
    seen = ask(web.url(URL)).json["environment"]
    assert seen["AWS_LAMBDA_INITIALIZATION_TYPE"] == "native-http"
    assert seen["AWS_LAMBDA_RUNTIME_API"]
    assert not {"AWS_LAMBDA_FUNCTION_NAME", "_HANDLER", "AWS_LAMBDA_LOG_GROUP_NAME"} & seen.keys()


def test_a_long_line_of_the_log_holds_nothing_up(web: RunningCloud) -> None:
    """Longer than a pipe and than asyncio's lines, and more than one."""
    for size in (300_000, 300_001):
        assert ask(f"{web.url(URL)}/?shout={size}").status == 200
        wait_for_line(web, "a" * size)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("TRACE", [], 400),
        ("GET", [("Host", "other.example")], 404),
        ("GET", [("Expect", "100-continue")], 417),
    ],
)
def test_what_aws_refuses_never_arrives(
    web: RunningCloud, method: str, headers: list[tuple[str, str]], status: int
) -> None:
    """Before the application, each with its status."""
    assert ask(web.url(URL), method=method, headers=headers).status == status


def test_http_1_0_is_refused(web: RunningCloud) -> None:
    """With 505."""
    with socket.create_connection(("127.0.0.1", int(web.url(URL).rpartition(":")[2]))) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 505")


def test_a_signature_is_asked_for_and_dropped() -> None:
    """Verified by AWS, and then removed with its header; the gateway moves the visitor's."""
    with run_cloud(TEMPLATE, parameters={"Auth": "IamAuth"}) as started:
        url = started.url(URL)
        assert ask(url).status == 403
        signed = ("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20261130/us-east-1/lambda")
        assert "authorization" not in header_names(ask(url, headers=[signed]))
        visitor = ("Authorization", "Bearer visitor")
        seen = ask(f"{started.url('netlify')}/api/chat", headers=[visitor]).json["headers"]
        named = {name.lower(): value for name, value in seen}
        assert "authorization" not in named
        assert named["x-riverrun-authorization"] == "Bearer visitor"


def test_no_answer_in_time_is_504_and_a_stream_is_cut_as_if_it_were_whole() -> None:
    """Which is why no client may take the end of a body for the end of an answer."""
    found: dict[str, Got] = {}
    is_it: dict[str, Callable[[Got], bool]] = {
        "silent": lambda _: True,
        "stream": lambda got: got.status == 200,
    }
    with run_cloud(TEMPLATE, parameters={"Seconds": "3"}) as started:

        def get(name: str, target: str) -> None:
            found[name] = ask_until(f"{started.url(URL)}/?{target}", None, is_it[name])

        ask(started.url(URL))  # how long it takes to start is the machine's to say
        threads = [
            threading.Thread(target=get, args=("silent", "wait=60")),
            threading.Thread(target=get, args=("stream", "stream=600")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found["silent"].status == 504
    assert found["silent"].header("lambda-web-error-type") == "Runtime.RequestTimeout"
    assert (found["stream"].status, found["stream"].whole) == (200, True)
    assert set(found["stream"].body) == {ord(".")}
    assert not found["stream"].header("lambda-web-error-type")


def test_a_stream_may_be_reset_and_a_client_that_left_be_told() -> None:
    """Neither is documented, so both are switches."""
    web = WebOptions(truncation="reset", tells_disconnect=True)
    with run_cloud(TEMPLATE, web=web, parameters={"Seconds": "3"}) as started:
        ask(started.url(URL))
        assert not ask(f"{started.url(URL)}/?stream=600").whole
        with raw(started.url(URL), "/?stream=600") as sock:
            read_until(sock, DOT)
        wait_for_line(started, "heard that the client left")


def test_a_client_that_leaves_is_not_told(web: RunningCloud) -> None:
    """By default: the application writes on to its end."""
    with raw(web.url(URL), "/?stream=5") as sock:
        read_until(sock, DOT)
    wait_for_line(web, "wrote to its end")
    assert not web.log_lines("heard that the client left")


def test_a_crash_is_502_before_the_head_and_a_cut_after_it(web: RunningCloud) -> None:
    """And the next request meets a new environment."""
    assert ask(f"{web.url(URL)}/?crash=1").status == 502
    assert ask(web.url(URL)).status == 200
    web.break_with(Fault(kind="kill", at=3, front="web"))
    cut = ask(f"{web.url(URL)}/?stream=20")
    assert (cut.status, cut.whole, cut.body) == (200, False, b"...")


def test_an_application_that_does_not_load_is_502() -> None:
    """With the type of AWS's report, at each request."""
    with run_cloud(TEMPLATE, parameters={"Entry": "asgi:none:app"}) as started:
        got = ask(started.url(URL))
        assert got.status == 502
        assert got.header("lambda-web-error-type") == "Application.InitCodeError"


def test_requests_share_an_environment_then_fill_the_next_and_are_turned_away() -> None:
    """MaxEnvironments is the cap on cost: what is over it is not queued."""
    with run_cloud(TEMPLATE, parameters={"Places": "2"}) as started:
        url = started.url(URL)
        open_now = [raw(url, "/?stream=600") for _ in range(4)]
        for sock in open_now:
            read_until(sock, DOT)
        function = started.cloud.endpoints["tiny-web"].function
        assert [environment.busy for environment in function.sandboxes] == [2, 2]
        assert ask(url).status == 429
        for sock in open_now:
            sock.close()


def test_no_rate_is_no_door() -> None:
    """RateLimit 0 blocks all."""
    with run_cloud(TEMPLATE, parameters={"Rate": "0"}) as started:
        assert ask(started.url(URL)).status == 429


def test_an_environment_that_ends_is_told_and_may_say_its_last_word() -> None:
    """SIGTERM, and then the rest; which takes longer than a second where a machine is busy."""
    with run_cloud(TEMPLATE, options={"term_seconds": 60.0}) as started:
        function = started.cloud.endpoints["tiny-web"].function
        with raw(started.url(URL), "/?stream=600") as sock:
            read_until(sock, DOT)
            started.call(function.retire)
            assert b"last word" in read_until(sock, b"0\r\n\r\n")
        assert ask(started.url(URL)).status == 200
        started.call(function.kill)  # it would be waited for until its time is over


def test_an_environment_that_does_not_end_is_killed() -> None:
    """SIGKILL after its second, whatever it still writes."""
    with run_cloud(TEMPLATE) as started:
        with raw(started.url(URL), "/?stream=600&deaf=1") as sock:
            read_until(sock, DOT)
            started.call(started.cloud.endpoints["tiny-web"].function.retire)
            assert not read_until(sock, b"0\r\n\r\n").endswith(b"0\r\n\r\n")
        wait_for_line(started, " cut")


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        (("Default: 900", "Default: 901"), "Timeout is from 3 to 900"),
        (("MaxEnvironments: 2", "MaxEnvironments: 1"), "MaxEnvironments is from 2"),
        (("Default: 10000", "Default: 150"), "RateLimit is 0"),
        (("!Ref Entry", "''"), "AWS refuses an empty value"),
        (("Default: ApplicationManaged", "Default: NONE"), "AuthType is IamAuth"),
        (("Default: web", "Default: functions"), "declares no AWS::Serverless::Function"),
    ],
)
def test_a_template_that_aws_would_refuse_is_refused(
    tmp_path: Any, changed: tuple[str, str], refused: str
) -> None:
    """With what AWS takes."""
    (tmp_path / "template.yaml").write_text(TEMPLATE.read_text().replace(*changed))
    with pytest.raises(EmulatorSetupError, match=refused):
        read_template(tmp_path / "template.yaml")
