"""Functions and their sandboxes: cold and warm, frozen and killed, many at once."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.emulator.support import (
    FUNCTIONS,
    Gate,
    Got,
    RunningCloud,
    ask,
    ask_until,
    process_state,
    run_cloud,
)
from tests.emulator.test_invoke_api import wait_for

pytestmark = pytest.mark.slow


def is_answered(got: Got) -> bool:
    """The function gave a head in time; what became of the rest is the test's to say."""
    return got.status == 200


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    """Two gates for two functions to ask at."""
    two = [Gate(), Gate()]
    yield two
    for gate in two:
        gate.close()


def pids(cloud: RunningCloud, name: str = "chat") -> list[int]:
    """The processes of a function."""
    sandboxes = list(cloud.cloud.functions[name].sandboxes)
    return [sandbox.pid for sandbox in sandboxes if sandbox.alive]


def open_files(pid: int) -> int:
    """How many file descriptors a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def is_settled(cloud: RunningCloud) -> bool:
    """Every place of every living process waits in `/next`."""
    functions = cloud.cloud.functions.values()
    return all(s.api.polls == 64 for f in functions for s in list(f.sandboxes) if s.alive)


def test_a_warm_sandbox_is_used_again_and_frozen_in_between() -> None:
    """One process for two invocations; stopped after each."""
    with run_cloud(concurrency=None) as cloud:
        url = cloud.url("url chat")
        first = ask(url, {"echo": 1}).json["environ"]
        (pid,) = pids(cloud)
        wait_for(lambda: process_state(pid) == "T")
        second = ask(url, {"echo": 1}).json["environ"]
        assert first["AWS_LAMBDA_RUNTIME_API"] == second["AWS_LAMBDA_RUNTIME_API"]
        assert pids(cloud) == [pid]
        wait_for(lambda: process_state(pid) == "T")


def test_each_stream_on_demand_has_a_sandbox_of_its_own(gates: list[Gate]) -> None:
    """Two at once are two processes; afterwards both are warm."""
    with run_cloud(concurrency=None) as cloud, ThreadPoolExecutor(2) as pool:
        orders = [{"say": ["a", "b"], "gate": gate.port} for gate in gates]
        seen = pool.map(lambda order: ask(cloud.url("url chat"), order), orders)
        for gate in gates:
            gate.meet()  # in the middle of its stream: both are under way
        for gate in gates:
            gate.open()
        assert [got.body for got in seen] == [b"ab", b"ab"]
        assert len(pids(cloud)) == 2
        for pid in pids(cloud):
            wait_for(lambda pid=pid: process_state(pid) == "T")  # type: ignore[misc]  # bound now


def test_work_after_the_response_runs_before_the_freeze(classic: RunningCloud) -> None:
    """The sandbox is not frozen until the runtime asks for its next invocation."""
    assert ask(classic.url("url chat"), {"say": ["x"], "linger": 0.2}).body == b"x"
    wait_for(lambda: bool(classic.log_lines("lingered")))


def test_a_timeout_on_demand_kills_the_process() -> None:
    """The next invocation meets a new one."""
    with run_cloud(concurrency=None) as cloud:
        url = cloud.url("url brief")
        assert ask_until(url, {"say": ["a"]}, is_answered).body == b"a"
        (old,) = pids(cloud, "brief")
        wait_for(lambda: process_state(old) == "T")
        got = ask_until(url, {"say": ["a", "b"], "gap": 5}, is_answered)
        assert (got.body, got.whole) == (b"a", False)
        wait_for(lambda: process_state(old) == "")
        assert cloud.log_lines("Task timed out after 1.00 seconds")
        assert ask_until(url, {"say": ["c"]}, is_answered).body == b"c"


def test_work_after_the_response_counts_to_the_timeout() -> None:
    """The caller has its answer; the sandbox is killed all the same."""
    with run_cloud(concurrency=None) as cloud:
        url = cloud.url("url brief")
        assert ask_until(url, {"say": ["a"], "linger": 5}, lambda got: got.body == b"a").whole
        wait_for(lambda: not pids(cloud, "brief"))
        assert not cloud.log_lines("lingered")


def test_a_wedged_runtime_is_reset(classic: RunningCloud) -> None:
    """A response mode that does not exist costs the sandbox, not the function."""
    assert ask(classic.url("url chat"), {"say": ["x"], "mode": "buffered"}).status == 502
    assert ask(classic.url("url chat"), {"say": ["x"]}).body == b"x"


def test_a_crash_costs_one_invocation(classic: RunningCloud) -> None:
    """502, then a new sandbox."""
    assert ask(classic.url("url chat"), {"exit": "before"}).status == 502
    assert ask(classic.url("url chat"), {"say": ["x"]}).body == b"x"


def write_template(folder: Path, **properties: object) -> Path:
    """A template of one function, with the tests' bootstrap beside it."""
    for name in ("bootstrap", "tiny_runtime.py"):
        text = (FUNCTIONS / name).read_bytes()
        (folder / name).write_bytes(text)
        (folder / name).chmod(0o755)
    settings = {
        "FunctionName": "one",
        "Handler": "tiny.one",
        "CodeUri": ".",
        "Timeout": 120,
        "Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap"}},
        "FunctionUrlConfig": {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"},
        **properties,
    }
    function = {"Type": "AWS::Serverless::Function", "Properties": settings}
    path = folder / "template.yaml"
    path.write_text(json.dumps({"Resources": {"One": function}}))
    return path


@pytest.mark.parametrize(("seconds", "limit", "status"), [(0.6, 60, 200), (30.0, 1, 502)])
def test_a_slow_init_is_started_again_within_the_invocation(
    tmp_path: Path, seconds: float, limit: int, status: int
) -> None:
    """Ten seconds (here a quarter) for init; then once more, within the function's own time."""
    environment = {
        "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap",
        "INIT_SECONDS": str(seconds),
    }
    template = write_template(
        tmp_path, Handler="slow.init", Timeout=limit, Environment={"Variables": environment}
    )
    with run_cloud(template, concurrency=None, options={"init_limit": 0.25}) as cloud:
        assert ask(cloud.url("url one"), {"say": ["x"]}).status == status
        assert cloud.log_lines("Phase: init Status: timeout")


@pytest.mark.parametrize("concurrency", [None, 4])
def test_a_missing_wrapper_is_said_as_the_platform_says_it(
    tmp_path: Path, concurrency: int | None
) -> None:
    """The path, and what is wrong with it; the caller gets 502."""
    environment = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/nothing"}
    template = write_template(tmp_path, Environment={"Variables": environment})
    with run_cloud(template, concurrency=concurrency) as cloud:
        assert ask(cloud.url("url one"), {"say": ["x"]}).status == 502
        assert cloud.log_lines("nothing: No such file or directory")


def test_a_changed_file_restarts_the_function_and_spares_its_streams(
    tmp_path: Path, gate: Gate
) -> None:
    """A running stream ends in the old process; the next one meets the new code."""
    template = write_template(tmp_path)
    with run_cloud(template, concurrency=4, watch=True) as cloud, ThreadPoolExecutor(1) as pool:
        url = cloud.url("url one")
        assert ask(url, {"say": ["x"]}).body == b"x"
        (old,) = pids(cloud, "one")
        slow = pool.submit(ask, url, {"say": ["a", "b"], "gate": gate.port})
        wait_for(lambda: cloud.cloud.functions["one"].busy == 1)
        (tmp_path / "new.py").write_text("x = 1\n")
        wait_for(lambda: any(pid != old for pid in pids(cloud, "one")))
        ask(url, {"say": ["y"]})
        assert process_state(old) != ""
        gate.open()
        assert slow.result().body == b"ab"
        wait_for(lambda: process_state(old) == "")


def test_the_environment_is_the_platforms_and_the_templates(tmp_path: Path) -> None:
    """What AWS sets, what the template says, and the person's RIVERRUN_* over both."""
    environment = {
        "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap",
        "RIVERRUN_CHAT": "bedrock",
        "COLOUR": "red",
        "AWS_LAMBDA_FUNCTION_NAME": "liar",
    }
    template = write_template(tmp_path, Environment={"Variables": environment}, MemorySize=512)
    shell = {
        "RIVERRUN_CHAT": "scripted",
        "COLOUR": "green",
        "SECRET_OF_THE_SHELL": "x",
        "AWS_PROFILE": "me",
        "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
    }
    with run_cloud(template, concurrency=7, environ=shell) as cloud:
        seen = ask(cloud.url("url one"), {"echo": 1}).json["environ"]
    assert seen["COLOUR"] == "red"
    assert seen["RIVERRUN_CHAT"] == "scripted"
    assert "SECRET_OF_THE_SHELL" not in seen
    assert "AWS_LAMBDA_LOG_LEVEL" not in seen
    assert seen["AWS_PROFILE"] == "me"
    assert seen["_HANDLER"] == "tiny.one"
    assert seen["LAMBDA_TASK_ROOT"] == str(tmp_path.resolve())
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "one"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert seen["AWS_LAMBDA_MAX_CONCURRENCY"] == "7"
    assert seen["AWS_LAMBDA_INITIALIZATION_TYPE"] == "lambda-managed-instances"


def test_on_demand_says_so(classic: RunningCloud) -> None:
    """No concurrency variable, and the classic initialization type."""
    seen = ask(classic.url("url chat"), {"echo": 1}).json["environ"]
    assert "AWS_LAMBDA_MAX_CONCURRENCY" not in seen
    assert seen["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"


def test_a_value_that_only_the_cloud_knows_is_left_unset(cloud: RunningCloud) -> None:
    """Substitutions that can be made are made; the others are said."""
    seen = ask(cloud.url("url chat"), {"echo": 1}).json["environ"]
    assert seen["GREETING"] == "hello-us-east-1"
    assert seen["COLOUR"] == "blue"
    assert "RIVERRUN_LOG" not in seen
    assert any("RIVERRUN_LOG" in note for note in cloud.cloud.notes)


@pytest.mark.parametrize("many", [200, pytest.param(1000, marks=pytest.mark.soak)])
def test_many_streams_one_after_the_other(cloud: RunningCloud, many: int) -> None:
    """Nothing leaks: file descriptors, processes and tasks are what they were (EM02)."""
    url = cloud.url("url chat")
    ask(url, {"say": ["warm"]})
    wait_for(lambda: is_settled(cloud))
    before = open_files(os.getpid()), pids(cloud)
    for number in range(many):
        text = f"data: {number}\n\n"
        got = ask(url, {"say": [text, text]})
        assert (got.body.decode(), got.whole) == (text * 2, True)
    wait_for(lambda: is_settled(cloud) and open_files(os.getpid()) <= before[0])
    assert pids(cloud) == before[1]
    assert cloud.cloud.functions["chat"].busy == 0


@pytest.mark.parametrize(
    ("mode", "many"),
    [("cloud", 50), ("classic", 12), pytest.param("classic", 50, marks=pytest.mark.soak)],
)
def test_streams_at_once_are_not_mixed(
    mode: str, many: int, request: pytest.FixtureRequest
) -> None:
    """Each client reads its own number and nothing else, in one process or in many (EM02)."""
    here: RunningCloud = request.getfixturevalue(mode)

    def one(number: int) -> tuple[int, bool, str]:
        got = ask(here.url("url chat"), {"say": [f"data: {number}\n\n"] * 20, "gap": 0.005})
        return got.status, got.whole, got.body.decode()

    with ThreadPoolExecutor(many) as pool:
        for number, seen in enumerate(pool.map(one, range(many))):
            assert seen == (200, True, f"data: {number}\n\n" * 20)


def test_nothing_is_left_when_the_cloud_closes() -> None:
    """Every process ends, also a frozen one and one in mid-stream."""
    with ThreadPoolExecutor(1) as pool:
        with run_cloud(concurrency=None) as cloud:
            ask(cloud.url("url brief"), {"say": ["warm"]})
            pool.submit(ask, cloud.url("url chat"), {"count": 1000, "gap": 0.05})
            wait_for(lambda: bool(pids(cloud)))
            wait_for(lambda: process_state(pids(cloud, "brief")[0]) == "T")
            left = pids(cloud) + pids(cloud, "brief")
        assert len(left) == 2
        assert [process_state(pid) for pid in left] == ["", ""]


@pytest.mark.parametrize(
    ("concurrency", "reason"),
    [
        (None, "ReservedFunctionConcurrentInvocationLimitExceeded"),
        (2, "ConcurrentInvocationLimitExceeded"),
    ],
)
def test_the_third_of_two_is_throttled(
    tmp_path: Path, gates: list[Gate], concurrency: int | None, reason: str
) -> None:
    """429 before the stream, with the reason; the two that run are not disturbed."""
    template = write_template(tmp_path, ReservedConcurrentExecutions=2)
    with run_cloud(template, concurrency=concurrency) as cloud, ThreadPoolExecutor(2) as pool:
        url = cloud.url("url one")
        orders = [{"say": ["a", "b"], "gate": gate.port} for gate in gates]
        slow = [pool.submit(ask, url, order) for order in orders]
        wait_for(lambda: cloud.cloud.functions["one"].busy == 2)
        third = ask(url, {"say": ["x"]})
        assert (third.status, third.json["Reason"]) == (429, reason)
        for gate in gates:
            gate.open()
        assert [one.result().body for one in slow] == [b"ab", b"ab"]
        wait_for(lambda: cloud.cloud.functions["one"].busy == 0)
        assert ask(url, {"say": ["x"]}).body == b"x"
