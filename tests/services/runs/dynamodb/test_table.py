"""Calls are tried again while there is time, and their failures are typed. Over real sockets."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from moto import mock_aws

from services.errors import RiverrunError, SetupError
from services.runs import RunLogError, SequenceConflictError
from services.runs.dynamodb import table as dynamodb_table
from services.runs.dynamodb.faults import RefusedError, translate_error
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from services.settings import ROOT
from tests.services.runs.conformance import Clock, final, start_run, token
from tests.services.runs.faults import BUSY_CODES, refusal
from tests.services.runs.tables import client_for, new_table

pytestmark = pytest.mark.anyio

Answer = Callable[["Service"], None]


class Service(BaseHTTPRequestHandler):
    """DynamoDB, as a script of answers says; after them it says that all is well."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[list[Answer]]
    asked: ClassVar[list[tuple[str, dict[str, Any]]]]

    def do_POST(self) -> None:
        """Answer the next one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        self.asked.append((operation, json.loads(body)))
        (self.script.pop(0) if self.script else well)(self)

    def answer(self, status: int, body: Mapping[str, Any]) -> None:
        """Send JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def well(service: Service) -> None:
    """It worked."""
    service.answer(200, {})


def error(code: str, status: int = 400) -> Answer:
    """An error response."""
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return lambda service: service.answer(status, {"__type": kind, "message": "arn:secret"})


def unsigned(message: str) -> Answer:
    """A signature that DynamoDB does not take, and why."""
    kind = "com.amazon.coral.service#InvalidSignatureException"
    return lambda service: service.answer(400, {"__type": kind, "message": message})


EXPIRED = "Signature expired: 20261130T080000Z is now earlier than 20261130T083000Z (... - 5 min.)"


def cut(service: Service) -> None:
    """The connection is gone before an answer."""
    service.close_connection = True
    service.connection.close()


def half(service: Service) -> None:
    """The connection is gone in the middle of the answer."""
    service.send_response(200)
    service.send_header("Content-Length", "1000")
    service.end_headers()
    service.wfile.write(b'{"It')
    cut(service)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    """A service on this machine that boto3 finds in its environment."""

    class Here(Service):
        """Of this test."""

        script: ClassVar[list[Answer]] = []
        asked: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Here)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # cut connections are the test
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    yield Here
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A machine without any AWS set up."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def at_once(_seconds: float) -> None:
    """Wait no time."""
    await asyncio.sleep(0)


ITEM = {"pk": {"S": "p"}, "sk": {"S": "s"}, "nonce": {"B": b"n"}, "blob": {"B": b"b"}}


def garble(service: Service) -> None:
    """A bit has fallen over on the way: the checksum is of something else."""
    service.send_response(200)
    service.send_header("Content-Length", "2")
    service.send_header("x-amz-crc32", "1")
    service.end_headers()
    service.wfile.write(b"{}")


LINES = [pytest.param(error(*busy), id=busy[0]) for busy in BUSY_CODES]
LINES += [pytest.param(line, id=line.__name__) for line in (cut, half, garble)]


@pytest.mark.parametrize("answer", LINES)
async def test_what_passes_is_tried_again(service: type[Service], answer: Answer) -> None:
    """Throttled, out of order, cut off: three times in vain, then it works."""
    service.script = [answer] * 3
    table = Table("runs", sleep=at_once)
    assert await table.put_once([ITEM])
    assert [operation for operation, _ in service.asked] == ["PutItem"] * 4
    assert len({json.dumps(body, sort_keys=True) for _, body in service.asked}) == 1
    await table.close()


async def test_tries_pause_longer_and_longer_and_never_in_step(service: type[Service]) -> None:
    """Full jitter: anything from nothing to twice as long as before."""
    service.script = [error("ThrottlingException")] * 8
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    jitter = iter([1.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]).__next__
    table = Table("runs", jitter=jitter, sleep=sleep)
    await table.get("p", "s")
    assert pauses == [0.025, 0.0, 0.05, 0.2, 0.4, 0.8, 0.8, 0.8]
    await table.close()


async def test_tries_end_with_the_budget(
    service: type[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an error that says: later. No caller waits for longer than it has."""
    service.script = [error("ThrottlingException")] * 1000
    loop = asyncio.get_running_loop()
    now, slept = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: now() + slept)

    async def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds

    table = Table("runs", budget=5.0, sleep=sleep)
    with pytest.raises(RunLogError) as refused:
        await table.get("p", "s")
    assert 1.0 < slept <= 5.0
    assert (refused.value.code, refused.value.retryable) == ("overloaded", True)
    assert refused.value.retry_after_ms
    await table.close()


async def test_an_answer_that_does_not_come_is_not_waited_for(
    service: type[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another try is faster than an old one."""
    monkeypatch.setattr(dynamodb_table, "READ_TIMEOUT", 0.1)
    forgotten = threading.Event()
    waited_for: list[bool] = []
    service.script = [lambda _: waited_for.append(forgotten.wait(30))]
    table = Table("runs", sleep=at_once)
    try:
        assert await table.put_once([ITEM])
        assert not waited_for, "the first one is still without an answer"
        assert len(service.asked) >= 2, "on a machine that is busy the second one may be late too"
    finally:
        forgotten.set()
    await table.close()


async def test_a_service_that_is_away_is_busy(
    service: type[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused connections, until the budget is spent."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    table = Table("runs", budget=0.1)
    with pytest.raises(RunLogError) as refused:
        await table.get("p", "s")
    assert refused.value.code == "overloaded"
    await table.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ResourceNotFoundException", "no DynamoDB table 'runs'"),
        ("UnrecognizedClientException", "refused the credentials"),
        ("AccessDeniedException", "refused the credentials"),
        ("ExpiredTokenException", "refused the credentials"),
        ("InvalidSignatureException", "clock"),
        ("ValidationException", "pk (HASH) and sk (RANGE)"),
    ],
)
async def test_an_installation_at_fault_is_told_at_once(
    service: type[Service], code: str, words: str
) -> None:
    """At the first use, which is before a model is asked: one try, and what to do."""
    service.script = [error(code)] * 10
    log = DynamoLog(Table("runs", sleep=at_once))
    with pytest.raises(SetupError) as refused:
        await log.start(owner="ann", key="k", fingerprint="f")
    assert words in refused.value.message
    assert "arn:secret" not in refused.value.message
    assert len(service.asked) == 1
    await log.close()


async def test_an_unknown_failure_is_reported_without_details(service: type[Service]) -> None:
    """Not tried again, and nothing of it is told to the client."""
    service.script = [error("SomethingNewException")] * 10
    table = Table("runs", sleep=at_once)
    with pytest.raises(RunLogError) as refused:
        await table.get("p", "s")
    assert (refused.value.code, refused.value.retryable) == ("internal", False)
    assert "runs" not in refused.value.message.replace("run log", "")
    assert "arn" not in refused.value.message
    assert len(service.asked) == 1
    await table.close()


async def test_no_region_is_told(no_account: None) -> None:
    """By the name of the variable."""
    log = DynamoLog(Table("runs"))
    with pytest.raises(SetupError, match="AWS_REGION"):
        await log.start(owner=None, key=None, fingerprint="f")
    await log.close()


async def test_no_credentials_are_told(no_account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to give."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    log = DynamoLog(Table("runs"))
    with pytest.raises(SetupError, match="role or keys"):
        await log.start(owner=None, key=None, fingerprint="f")
    await log.close()


async def test_an_append_whose_answer_was_lost_is_accepted_once() -> None:
    """It was applied; the second try finds its own."""
    with mock_aws():
        client = client_for()
        name = new_table(client)
        lossy = Lossy(client)
        log = DynamoLog(Table(name, client=lossy, sleep=at_once))
        run = await start_run(log, "ann", "k")
        await log.append(run.id, [token(1)])
        await log.append(run.id, [token(2), token(3, b"x" * 10 + bytes(range(256)) * 4000)])
        await log.append(run.id, [final(4)])
        await log.add_turn("ann", "s", "q", "a")
        assert [entry.seq for entry in await log.read(run.id, 0)] == [1, 2, 3, 4]
        assert await log.read_turns("ann", "s", 5) == [("q", "a")]
        with pytest.raises(SequenceConflictError):
            await log.append(run.id, [token(2)])
        assert lossy.lost > 4
        await log.close()


async def test_a_claim_whose_answer_was_lost_is_a_claim() -> None:
    """Of one epoch, not of two."""
    clock = Clock()
    with mock_aws():
        client = client_for()
        log = DynamoLog(
            Table(new_table(client), client=Lossy(client), sleep=at_once),
            now=clock,
            monotonic=clock,
        )
        run = await start_run(log, lease=1.0)
        await log.release(run)
        claimed = await log.claim(run, lease=5.0)
        assert claimed.epoch == 2
        assert await log.find(run.id, None) == claimed
        with pytest.raises(SequenceConflictError):
            await log.claim(run, lease=5.0)
        await log.close()


class Lossy:
    """A client that does what it is asked to the first time, and does not say so."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: set[str] = set()
        self.lost = 0

    def close(self) -> None:
        """Stay open."""

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            from botocore.exceptions import ReadTimeoutError

            asked = repr((name, request))
            response = getattr(self._client, name)(**request)
            if asked not in self._known:
                self._known.add(asked)
                self.lost += 1
                raise ReadTimeoutError(endpoint_url="http://table")
            return response

        return call


async def test_a_write_that_arrives_late_changes_nothing() -> None:
    """Given up here, and delivered when another has gone on: it is refused there."""
    with mock_aws():
        client = client_for()
        table = Table(new_table(client), client=client)
        assert await table.put_once([ITEM])
        assert await table.put_once([ITEM])  # our own, seen again
        assert not await table.put_once([{**ITEM, "nonce": {"B": b"other"}}])
        assert not await table.put_once([{**ITEM, "blob": {"B": b"other"}}])
        there = await table.get("p", "s")
        assert there == ITEM
        await table.close()


def test_a_transaction_is_refused_or_busy_or_broken() -> None:
    """By the worst of its reasons."""

    def cancelled(*codes: str) -> Exception:
        reasons = [{"Code": code} for code in codes]
        return translate_error(
            refusal("TransactionCanceledException", CancellationReasons=reasons), "runs"
        )

    assert isinstance(cancelled("None", "ConditionalCheckFailed"), RefusedError)
    assert isinstance(cancelled("TransactionConflict", "ConditionalCheckFailed"), RefusedError)
    for busy in ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"):
        error = cancelled("None", busy)
        assert isinstance(error, RunLogError)
        assert error.retryable
    for broken in (cancelled("None", "ValidationError"), cancelled()):
        assert isinstance(broken, RiverrunError)
        assert not broken.retryable


def test_what_is_not_of_aws_stays_what_it_is() -> None:
    """A fault of ours is not hidden."""
    fault = KeyError("ours")
    assert translate_error(fault, "runs") is fault


async def test_a_log_that_is_never_used_costs_nothing() -> None:
    """No client, no thread, no look at the environment."""
    table = Table("runs")
    assert table._client is None
    assert not table._threads._threads
    await table.close()


async def test_the_operator_hears_why_a_table_does_not_answer_and_a_client_does_not(
    service: type[Service], caplog: pytest.LogCaptureFixture
) -> None:
    """Once a minute, in one line."""
    service.script += [error("ThrottlingException")] * 100
    table = Table("runs", budget=0.0)
    for _ in range(3):
        with pytest.raises(RunLogError) as told:
            await table.get("a", "b")
        assert "Throttling" not in f"{told.value} {told.value.hint}"
    (said,) = [record.message for record in caplog.records if "'runs'" in record.message]
    assert said.startswith(
        "The DynamoDB table 'runs' does not answer: An error occurred (Throttling"
    )
    assert "\n" not in said
    await table.close()


async def test_a_call_that_was_signed_before_a_freeze_is_signed_anew(
    service: type[Service], caplog: pytest.LogCaptureFixture
) -> None:
    """As of a function that thawed after a quarter of an hour; the next try is in time."""
    service.script += [unsigned(EXPIRED), unsigned(EXPIRED)]
    table = Table("runs")
    assert await table.get("a", "b") is None
    assert len(service.asked) == 3
    assert [record.message for record in caplog.records if "time" in record.message] == [
        "AWS refuses this machine's time. Set its clock, if it is wrong."
    ]
    await table.close()


async def test_a_clock_that_stays_wrong_is_a_busy_log_and_a_wrong_key_is_not(
    service: type[Service],
) -> None:
    """A live answer waits for the one, and no try helps with the other."""
    table = Table("runs", budget=0.0)
    service.script += [unsigned("Signature not yet current: 2027 is still later than 2026")]
    with pytest.raises(RunLogError) as busy:
        await table.get("a", "b")
    assert (busy.value.code, busy.value.retryable) == ("overloaded", True)
    service.script += [unsigned("The request signature we calculated does not match")]
    with pytest.raises(SetupError):
        await table.get("a", "b")
    await table.close()


FORK = """
import asyncio, os
from services.runs.dynamodb.table import Table

table = Table("runs")
assert asyncio.run(table.get("a", "b")) is None
child = os.fork()
if child == 0:
    assert asyncio.run(table.get("c", "d")) is None
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert asyncio.run(table.get("e", "f")) is None
asyncio.run(table.close())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
async def test_a_process_that_was_forked_has_calls_of_its_own(service: type[Service]) -> None:
    """Its threads are in the other process, and so is the other end of each connection."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FORK],
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [request["Key"]["pk"]["S"] for _, request in service.asked] == ["a", "c", "e"]
