"""An answer survives the functions that write it: real processes, sockets and signals."""

import contextlib
import json
import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tests.functions.hosts import check_whole, make_script, run_host
from tests.functions.reading_on import Answer, go_on, read_body, read_on

log = logging.getLogger(__name__)


@pytest.mark.parametrize("concurrency", [16, None], ids=["concurrent", "on demand"])
def test_an_answer_outlives_its_functions(
    tmp_path: Path, index: Path, concurrency: int | None
) -> None:
    """Through functions that write for half as long: one stream without a gap."""
    with run_host(
        "function", tmp_path, index, make_script(30, 100), timeout=3, concurrency=concurrency
    ) as started:
        answer = read_on(started.url("url chat"), "count")
        check_whole(answer, 30)
        assert len(answer.bodies) >= 3
        for body in answer.bodies[:-1]:
            assert body.paused is not None
            assert (body.paused["reason"], body.whole) == ("deadline", True)
        assert not started.log_lines("Task timed out")
        again = Answer()
        read_body(again, started.url("url chat"), "GET", f"/api/chat/runs/{answer.run}/events")
        assert (again.ids, again.events) == (answer.ids, answer.events)


@pytest.mark.soak
def test_three_minutes_through_functions_of_ten_seconds(tmp_path: Path, index: Path) -> None:
    """The figure of the promise: one reader, one stream, no gap longer than a change of hands."""
    with run_host(
        "function", tmp_path, index, make_script(900, 200), timeout=10, concurrency=None
    ) as started:
        answer = read_on(started.url("url chat"), "count", limit=400)
        check_whole(answer, 900)
        seconds = answer.gaps[-1] - answer.gaps[0]
        longest = max(after - before for before, after in pairwise(answer.gaps))
        log.info(
            "%.0f s, %d bodies, %d events; longest silence %.2f s, longest body %.2f s",
            seconds,
            len(answer.bodies),
            len(answer.events),
            longest,
            max(body.seconds for body in answer.bodies),
        )
        assert seconds > 175
        assert all(body.whole and body.seconds <= 9.0 for body in answer.bodies)
        assert not started.log_lines("Task timed out")


@pytest.mark.parametrize("concurrency", [16, None], ids=["concurrent", "on demand"])
def test_a_function_that_is_told_to_end_hands_its_answer_on(
    tmp_path: Path, index: Path, concurrency: int | None
) -> None:
    """SIGTERM in mid-answer: `paused` in a whole body, and the rest elsewhere.

    How soon is in tests/services/streaming/readers/test_session.py, by a clock that no load moves.
    """
    with run_host(
        "function", tmp_path, index, make_script(20, 100), timeout=20, concurrency=concurrency
    ) as started:
        url = started.url("url chat")
        answer = Answer()
        signalled = []

        def end_it() -> None:
            while not answer.text:
                time.sleep(0.05)
            (sandbox,) = started.cloud.functions["chat"].sandboxes
            signalled.append(time.monotonic())
            os.kill(sandbox.pid, signal.SIGTERM)

        timer = threading.Timer(0.0, end_it)
        timer.start()
        body = json.dumps({"query": "count", "streaming": True, "resume": True}).encode()
        read_body(answer, url, "POST", "/api/chat", body)
        ended = time.monotonic()
        timer.join()
        first = answer.bodies[0]
        assert first.paused is not None
        assert (first.paused["reason"], first.whole) == ("shutdown", True)
        log.info("Told %.3f s after the signal.", ended - signalled[0])
        go_on(answer, url, 300)
        check_whole(answer, 20)


def test_who_cannot_come_back_is_told_before_the_platform_ends_the_function(
    tmp_path: Path, index: Path
) -> None:
    """LD01 for the clients of old, of a provider that hangs: an error with what there was.

    Concurrent and on demand side by side: both wait for the clock.
    """
    folders = [tmp_path / "concurrent", tmp_path / "on demand"]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(hear_the_end, folders, [index] * 2, [16, None]))


def hear_the_end(folder: Path, index: Path, concurrency: int | None) -> None:
    """A reader that cannot come back, to the end of its function."""
    script = [
        {"when": "warm", "steps": [{"text": "Warm."}]},
        {"when": "*", "steps": [{"text": "Half "}, {"hang": True}]},
    ]
    with run_host("function", folder, index, script, timeout=8, concurrency=concurrency) as started:
        # How long a busy machine takes to start a function is not what is looked at here.
        read_body(Answer(), started.url("url chat"), "GET", "/api/chat?query=warm&streaming=true")
        answer = Answer()
        body = read_body(answer, started.url("url chat"), "GET", "/api/chat?query=x&streaming=true")
        (error,) = answer.unkept
        assert (error["code"], error["retryable"]) == ("deadline", True)
        assert error["partial"]["answer"] == "Half "
        assert error["cursor"] == answer.ids[-1]
        assert body.whole
        assert not started.log_lines("Task timed out")
        assert not started.log_lines("was stopped at the deadline")


@pytest.mark.soak
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_function_that_is_gone_without_a_word_is_replaced(
    tmp_path: Path, index: Path, sign: signal.Signals
) -> None:
    """When its lease is over; one that wakes up then adds nothing to what it once wrote."""
    script = make_script(40, 250)
    with (
        run_host("function", tmp_path, index, script, timeout=60, concurrency=None) as first,
        run_host("function", tmp_path, index, script, timeout=60, concurrency=None) as second,
    ):
        answer = Answer()
        body = json.dumps({"query": "count", "streaming": True, "resume": True}).encode()

        def strike() -> None:
            (sandbox,) = first.cloud.functions["chat"].sandboxes
            os.kill(sandbox.pid, sign)

        timer = threading.Timer(2.0, strike)
        timer.start()
        with contextlib.suppress(TimeoutError):
            read_body(answer, first.url("url chat"), "POST", "/api/chat", body, patience=4)
        assert len(answer.ids) > 5
        rest = Answer(ids=answer.ids[:], events=answer.events[:])
        go_on(rest, second.url("url chat"), 60)
        check_whole(rest, 40)
        assert [b.paused["reason"] for b in rest.bodies[:-1] if b.paused] == ["interrupted"]
        if sign is signal.SIGSTOP:
            (sandbox,) = first.cloud.functions["chat"].sandboxes
            os.kill(sandbox.pid, signal.SIGCONT)
            time.sleep(2)
        again = Answer()
        read_body(again, second.url("url chat"), "GET", f"/api/chat/runs/{rest.run}/events")
        assert (again.ids, again.events) == (rest.ids, rest.events)
