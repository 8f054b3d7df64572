"""One client a service, made when first used, by however many threads ask at once."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from services import aws
from services.errors import SetupError
from services.runs.dynamodb import table as dynamodb_table
from services.settings import ROOT


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account that no request reaches, and no client left of it."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    aws.forget()
    yield
    aws.forget()


def test_all_threads_share_one_client_a_service() -> None:
    """Sixteen threads at once get the same one; another service gets another."""
    with ThreadPoolExecutor(16) as pool:
        clients = set(map(id, pool.map(aws.client, ["bedrock-runtime"] * 64)))
    assert clients == {id(aws.client("bedrock-runtime"))}
    assert aws.client("s3") is not aws.client("bedrock-runtime")


def test_clients_are_made_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whatever service, the run log's too: threads that import boto3 at once can deadlock."""
    making = threading.Lock()
    real = aws._make

    def make(service: str, **config: Any) -> Any:
        assert making.acquire(blocking=False), "another one is being made"
        try:
            time.sleep(0.02)
            return real(service, **config)
        finally:
            making.release()

    monkeypatch.setattr(aws, "_make", make)
    with ThreadPoolExecutor(4) as pool:
        ours = [pool.submit(aws.client, name) for name in ("s3", "bedrock-runtime")]
        logs = [pool.submit(dynamodb_table._connect) for _ in range(2)]
        made = [one.result() for one in (*ours, *logs)]
    assert [one.meta.service_model.service_name for one in made] == [
        "s3",
        "bedrock-runtime",
        "dynamodb",
        "dynamodb",
    ]


def test_a_client_does_not_wait_for_ever() -> None:
    """Bounded times and tries, and room for many streams."""
    config = aws.client("bedrock-runtime", read_timeout=7.0, tries=1).meta.config
    assert (config.connect_timeout, config.read_timeout) == (2.0, 7.0)
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}
    assert config.max_pool_connections == 50
    assert config.tcp_keepalive


def test_a_missing_region_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """In our words, with the names of the variables."""
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(SetupError, match="AWS_DEFAULT_REGION"):
        aws.client("bedrock-runtime")


def test_a_missing_profile_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a profile that is not there."""
    monkeypatch.setenv("AWS_PROFILE", "absent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(SetupError, match="AWS_PROFILE"):
        aws.client("s3")


def test_importing_it_imports_no_boto3() -> None:
    """A cold start pays for boto3 when it calls, not before."""
    code = "import services.aws, sys; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_few_requests_are_prepared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is sent or given up a request has one of the turns; the next waits for it."""
    monkeypatch.setattr(aws, "TURN_SECONDS", 10)
    held = [aws.CancellableCall() for _ in range(aws.MAX_PREPARING)]
    for call in held:
        call.__enter__()
    began = threading.Event()

    def another() -> None:
        with aws.CancellableCall():
            began.set()

    thread = threading.Thread(target=another)
    thread.start()
    assert not began.wait(0.05)
    held[0]._attach(SimpleNamespace(call=None, sock=None))
    assert began.wait(60)
    thread.join()
    for call in held:
        call.__exit__(None, None, None)
    assert aws._turns._value == aws.MAX_PREPARING


def test_a_turn_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that take long hold up no other request."""
    monkeypatch.setattr(aws, "TURN_SECONDS", 0.01)
    held = [aws.CancellableCall() for _ in range(aws.MAX_PREPARING)]
    for call in held:
        call.__enter__()
    with aws.CancellableCall():
        pass
    for call in held:
        call.__exit__(None, None, None)
    assert aws._turns._value == aws.MAX_PREPARING


def test_bytes_gather_between_two_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine frames that come while a stream rests are one read; the first one is not waited for."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    rests: list[float] = []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        if seconds:
            for frame in b"bcdefghij":
                theirs.send(bytes([frame]))

    clock = SimpleNamespace(sleep=rest, monotonic=lambda: 100.0)
    monkeypatch.setattr(aws, "time", clock)
    with ours, theirs, aws._PacedReader(ours, lambda: 0.04).makefile("rb") as file:
        theirs.send(b"a")
        assert file.read1(100) == b"a"
        assert file.read1(100) == b"bcdefghij"
    assert rests == [0.0, pytest.approx(0.04)]
