"""Group CR of the acceptance list: what a client does when the server or the line fails.

Against a server that says what it is told; `test_faults` asks the emulator.
"""

import json
import threading

import httpx2
import pytest

from riverrun_client import (
    EndedError,
    GaveUpError,
    ProtocolError,
    RefusedError,
    RetryPolicy,
    RunFailedError,
)
from tests.clients.python.both import QUESTION, Both, Pieces
from tests.clients.python.scripted_server import (
    RUN,
    WHOLE,
    Answer,
    End,
    final,
    frame,
    loose,
    refusal,
    run_script,
    status,
    token,
)

ALL = ["Status", "Token", "Token", "Token", "Final"]


def serve(*first: bytes, broken: bool = False, calls: list[str] | None = None) -> object:
    """A transport whose first answer is `first`; what is asked next gets the rest of the run."""

    log: list[str] = [] if calls is None else calls

    def handler(request: httpx2.Request) -> httpx2.Response:
        log.append(f"{request.method} {request.url.raw_path.decode()}")
        named = {"Content-Type": "text/event-stream", "X-Run-Id": RUN}
        if len(log) == 1:
            body = Pieces(list(first), broken=broken)
        else:
            # Before the first event it is asked again, under its key; after it, read on.
            after = int(request.url.params.get("after", "0"))
            assert request.method == ("GET" if after else "POST")
            body = Pieces(WHOLE[after:])
        return httpx2.Response(200, headers=named, stream=body)

    return handler


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_stream_without_its_end_is_read_on_from_the_last_event(both: Both, end: End) -> None:
    """CR01: the run is resumed by id, and its model is not asked again."""
    with run_script(Answer(WHOLE[:2], end=end), Answer(WHOLE[2:])) as server:
        seen = both.read(server.url)
    assert seen.kinds == ALL
    assert seen.text == "One two three."
    assert server.lines() == [
        "POST /api/chat",
        f"GET /api/chat/runs/{RUN}/events?after=2&resume=1",
    ]
    assert server.asked[0].json() == {"query": QUESTION, "streaming": True, "resume": True}


def test_a_cut_at_any_byte_loses_nothing_and_doubles_nothing(both: Both) -> None:
    """CR01, at every offset of the stream, neatly and not by turns."""
    _cut_at_every_byte(both, first=0)


@pytest.mark.soak
def test_a_cut_at_any_byte_loses_nothing_the_other_way_either(both: Both) -> None:
    """The same with the turns exchanged."""
    _cut_at_every_byte(both, first=1)


def _cut_at_every_byte(both: Both, first: int) -> None:
    whole = b"".join(WHOLE)
    for offset in range(len(whole)):
        broken = offset % 2 == first
        both.handler = serve(whole[:offset], broken=broken)  # type: ignore[assignment]
        seen = both.read()
        assert (seen.kinds, seen.text) == (ALL, "One two three."), f"cut at {offset}"


def test_a_server_that_never_ends_a_stream_is_no_success(both: Both) -> None:
    """CR01: what was said is in the error, with the cursor to read on from."""
    with run_script(Answer(WHOLE[:3]), Answer([])) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, GaveUpError)
    assert (error.code, error.retryable) == ("interrupted", True)
    assert error.partial.answer == "One two "
    assert (error.run_id, error.cursor) == (RUN, f"{RUN}-3")


def test_after_the_terminal_event_the_connection_is_closed_and_nothing_is_asked(
    both: Both,
) -> None:
    """CR02, though the server holds the line, and though the stream is iterated again."""
    with run_script(Answer([*WHOLE, token(6, "never")], end="hold")) as server:
        seen = both.read(server.url, times=3)
        assert server.asked[0].left.wait(60)
        assert (seen.kinds, seen.error) == (ALL, None)
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_an_overloaded_server_is_asked_again_under_the_same_key(both: Both, status: int) -> None:
    """CR03: 503 and its like pass."""
    with run_script(refusal(status), refusal(status, "overloaded"), Answer(WHOLE)) as server:
        assert both.read(server.url).kinds == ALL
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {
        server.asked[0].headers["idempotency-key"]
    }
    assert len({asked.body for asked in server.asked}) == 1
    assert both.clock.waits == [0.5, 1.0]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "7"}, 7.0),
        (
            {
                "Retry_After": "Wed, 21 Oct 2026 07:28:20 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            20.0,
        ),
        ({"Retry_After": "0"}, 0.5),
        ({"Retry_After": "soon"}, 0.5),
    ],
    ids=["seconds", "date", "zero", "nonsense"],
)
def test_retry_after_is_waited_for(both: Both, headers: dict[str, str], wait: float) -> None:
    """CR03: 429 with Retry-After."""
    with run_script(refusal(429, "rate_limited", **headers), Answer(WHOLE)) as server:
        assert both.read(server.url).kinds == ALL
    assert both.clock.waits == [wait]


def test_a_server_that_asks_for_an_hour_is_given_up_at_once(both: Both) -> None:
    """The wait is in the error; the client does not sit it out."""
    with run_script(refusal(429, "rate_limited", Retry_After="3600")) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, GaveUpError)
    assert (error.code, error.status, error.retry_after) == ("rate_limited", 429, 3600.0)
    assert (len(server.asked), both.clock.waits) == (1, [])


def test_a_refused_key_is_renewed_once(both: Both) -> None:
    """CR03: 401."""
    keys = iter(["old", "new"])
    both.key = lambda: next(keys)
    with run_script(refusal(401, "unauthorized"), Answer(WHOLE)) as server:
        assert both.read(server.url).kinds == ALL
    assert [asked.headers["authorization"] for asked in server.asked] == [
        "Bearer old",
        "Bearer new",
    ]


def test_a_key_that_is_refused_twice_is_refused(both: Both) -> None:
    """CR03: 401 once more is the end, and a key that cannot be renewed is not sent again."""
    for key, requests in ((lambda: "k", 2), ("k", 1), (None, 1)):
        both.key = key
        with run_script(refusal(401, "unauthorized")) as server:
            error = both.read(server.url).failure()
        assert isinstance(error, RefusedError)
        assert (error.code, error.status) == ("unauthorized", 401)
        assert len(server.asked) == requests


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refusal(404, "not_found"), RefusedError, "not_found"),
        (refusal(404), RefusedError, "not_found"),
        (refusal(410, "expired"), RefusedError, "expired"),
        (refusal(409, "idempotency_conflict"), RefusedError, "idempotency_conflict"),
        (refusal(422, "validation_error"), RefusedError, "validation_error"),
        (refusal(500, "internal"), RefusedError, "internal"),
        (refusal(429, "budget_exceeded"), RefusedError, "budget_exceeded"),
        (refusal(503, "provider_error"), RefusedError, "provider_error"),
        (Answer([], 204, {"Content-Type": ""}), EndedError, "ended"),
        (
            Answer([b"<h1>Hello</h1>"], 200, {"Content-Type": "text/html"}),
            ProtocolError,
            "not_a_stream",
        ),
        (Answer([b"{}"], 200, {"Content-Type": ""}), ProtocolError, "not_a_stream"),
        (
            Answer([], 302, {"Location": "http://127.0.0.1:1/elsewhere"}),
            ProtocolError,
            "redirected",
        ),
        (Answer([], 307, {"Location": "/elsewhere"}), ProtocolError, "redirected"),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Answer) else "",
)
def test_an_answer_that_is_none_ends_it(
    both: Both, answer: Answer, kind: type[Exception], code: str
) -> None:
    """CR03: one request, a typed error, no redirect followed."""
    with run_script(answer) as server:
        error = both.read(server.url).failure()
    assert type(error) is kind
    assert (error.code, error.status) == (code, answer.status)
    assert str(error)
    assert len(server.asked) == 1


@pytest.mark.parametrize("statuses", [(404, "not_found"), (410, "expired")])
def test_a_run_that_is_gone_keeps_what_was_said(both: Both, statuses: tuple[int, str]) -> None:
    """CR03, in the middle of a run."""
    with run_script(Answer(WHOLE[:3]), refusal(*statuses)) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, RefusedError)
    assert error.partial.answer == "One two "
    assert error.cursor == f"{RUN}-3"


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("end", ["close", "reset", "nothing"])
def test_a_server_that_closes_at_once_for_ever_is_given_up(
    both: Both, chance: float, end: End
) -> None:
    """CR04: waits between nothing and the doubled one, at most 30 s; at most 12 requests."""
    both.random = lambda: chance
    with run_script(Answer([WHOLE[0]], end="close"), Answer([], end=end)) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, GaveUpError)
    assert error.retryable
    assert len(server.asked) <= 12
    ceilings = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert both.clock.waits == [chance * ceiling for ceiling in ceilings]


def test_a_server_that_never_answered_is_given_up_sooner(both: Both) -> None:
    """A wrong address is found out while a person still looks."""
    with run_script(Answer([], end="nothing")) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, GaveUpError)
    assert error.code == "unreachable"
    assert len(server.asked) == 4


def test_who_was_given_up_can_be_read_again(both: Both) -> None:
    """The stream keeps its place."""
    both.retry_policy = RetryPolicy(max_retries=0)
    with run_script(Answer(WHOLE[:2]), Answer(WHOLE[2:])) as server:
        first = both.read(server.url)
        assert isinstance(first.failure(), GaveUpError)
        cursor = first.failure().cursor
        assert cursor is not None
        run_id, _, after = cursor.rpartition("-")
        assert both.join(server.url, run_id, int(after)).text == "two three."


def test_progress_renews_the_patience(both: Both) -> None:
    """Vain tries are counted in a row: twenty cuts with an event each are no reason to give up."""
    cuts = [Answer([token(seq, "x")]) for seq in range(1, 21)]
    with run_script(*cuts, Answer([final(21)])) as server:
        seen = both.read(server.url)
    assert seen.text == "x" * 20
    assert len(server.asked) == 21


def test_doubles_and_older_events_are_dropped(both: Both) -> None:
    """CR05."""
    body = [WHOLE[0], WHOLE[1], WHOLE[1], WHOLE[0], WHOLE[2], WHOLE[3], WHOLE[2], WHOLE[4]]
    with run_script(Answer(body)) as server:
        seen = both.read(server.url)
    assert (seen.kinds, seen.text) == (ALL, "One two three.")


def test_a_gap_is_read_again_from_the_last_good_event(both: Both) -> None:
    """CR05: nothing behind the gap is shown before what is in it."""
    with run_script(Answer([WHOLE[0], WHOLE[1], WHOLE[3], WHOLE[4]]), Answer(WHOLE[2:])) as server:
        seen = both.read(server.url)
    assert (seen.kinds, seen.text) == (ALL, "One two three.")
    assert server.lines()[1] == f"GET /api/chat/runs/{RUN}/events?after=2&resume=1"


def test_a_gap_that_stays_is_given_up(both: Both) -> None:
    """CR05: and never skipped."""
    with run_script(Answer([WHOLE[0], WHOLE[2]])) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, GaveUpError)
    assert len(server.asked) <= 12


@pytest.mark.parametrize(
    "wrong",
    [
        token(2, "stranger", run="f" * 32),
        b"id: %b-2\ndata: not json\n\n" % RUN.encode(),
        b"id: %b-2\ndata: []\n\n" % RUN.encode(),
        b'id: %b-2\ndata: {"type":"token"}\n\n' % RUN.encode(),
        b'id: %b-2\ndata: {"type":"final","result":{}}\n\n' % RUN.encode(),
    ],
    ids=["another run's", "not JSON", "a list", "no text", "no answer"],
)
def test_what_is_no_event_of_the_run_is_not_shown(both: Both, wrong: bytes) -> None:
    """A proxy's notice, or another server's answer: the connection is dropped, the run read on."""
    with run_script(Answer([WHOLE[0], wrong]), Answer(WHOLE[1:])) as server:
        seen = both.read(server.url)
    assert (seen.kinds, seen.text) == (ALL, "One two three.")


def test_one_stream_is_one_question_however_often_it_is_iterated(both: Both) -> None:
    """CR06: the second iteration closes the first and goes on."""
    calls: list[str] = []
    both.handler = serve(*WHOLE[:2], calls=calls)  # type: ignore[assignment]
    both.retry_policy = RetryPolicy(max_retries=0)
    first = both.read(times=1)
    assert isinstance(first.failure(), GaveUpError)
    assert [call.split()[0] for call in calls] == ["POST"]


def test_a_silent_line_is_dropped_and_the_run_read_on(both: Both) -> None:
    """CR07: three heartbeats missed (here 0.6 s), before the headers and after an event.

    With more time where the machine was silent for so long by itself.
    """

    def fall_silent(silence: float) -> tuple[list[str], int]:
        both.retry_policy = RetryPolicy(silence=silence)
        mute = threading.Event()
        with run_script(
            Answer([WHOLE[0], mute]), Answer([mute], headers={}), Answer(WHOLE[1:])
        ) as server:
            try:
                return both.read(server.url).kinds, len(server.asked)
            finally:
                mute.set()

    tries = (fall_silent(silence) for silence in (0.6, 3.0, 12.0))
    assert (ALL, 3) in tries


def test_a_heartbeat_is_a_sign_of_life(both: Both) -> None:
    """CR07: a line with pings is not silent, however long the model thinks."""
    both.retry_policy = RetryPolicy(silence=5.0)
    with run_script(Answer([WHOLE[0], *[b": ping\n"] * 50, *WHOLE[1:]])) as server:
        assert both.read(server.url).kinds == ALL
    assert len(server.asked) == 1


def test_without_a_network_it_looks_every_two_seconds_whether_it_is_back(both: Both) -> None:
    """CR07: offline, then online; and after ten minutes it is enough."""
    both.random = lambda: 1.0
    gone = 40
    calls: list[str] = []
    online = serve(*WHOLE[:2], calls=calls)

    def handler(request: httpx2.Request) -> httpx2.Response:
        nonlocal gone
        if request.method == "GET" and gone:
            gone -= 1
            raise httpx2.ConnectError("no route") from OSError(101, "Network is unreachable")
        return online(request)  # type: ignore[operator,no-any-return]

    both.handler = handler
    assert both.read().kinds == ALL
    assert both.clock.waits == [1.0, *[2.0] * 40]
    gone = 10_000
    both.clock.waits.clear()
    calls.clear()
    error = both.read().failure()
    assert isinstance(error, GaveUpError)
    assert 600 <= sum(both.clock.waits) < 610


def test_a_laptop_that_slept_goes_on_at_once(both: Both) -> None:
    """CR07: ten minutes went by; that is no vain try."""
    calls: list[str] = []
    handler = serve(*WHOLE[:2], broken=True, calls=calls)

    def sleep(request: httpx2.Request) -> httpx2.Response:
        both.clock.now += 600
        return handler(request)  # type: ignore[operator,no-any-return]

    both.handler = sleep
    assert both.read().kinds == ALL
    assert both.clock.waits == [0.5]


def test_a_paused_run_is_gone_on_with(both: Both) -> None:
    """The body ends, the run does not: after the wait the server asked for it is read on."""
    pause = loose({
        "type": "paused", "reason": "deadline", "cursor": f"{RUN}-2", "resumeAfterMs": 250,
    })  # fmt: skip
    retries: list[object] = []
    with run_script(Answer([*WHOLE[:2], pause], end="hold"), Answer(WHOLE[2:])) as server:
        seen = both.read(server.url, on_retry=retries.append)
        assert server.asked[0].left.wait(60)
    assert (seen.kinds, seen.text) == (ALL, "One two three.")
    assert both.clock.waits == [0.25]
    assert [getattr(retry, "reason", "") for retry in retries] == ["deadline"]
    assert server.lines()[1] == f"GET /api/chat/runs/{RUN}/events?after=2&resume=1"


def test_a_run_that_is_only_ever_paused_is_given_up(both: Both) -> None:
    """At most 12 requests, though the server says to come back at once."""
    pause = loose({"type": "paused", "reason": "front", "cursor": f"{RUN}-1", "resumeAfterMs": 0})
    with run_script(Answer([WHOLE[0], pause])) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, GaveUpError)
    assert len(server.asked) <= 12


def test_a_failed_run_is_an_exception_with_everything_in_it(both: Both) -> None:
    """Typed: code, whether to ask again, what was said, what to do."""
    failure = {
        "type": "error", "error": "Too busy.", "code": "provider_throttled", "retryable": True,
        "retryAfterMs": 2000, "hint": "Wait a moment.", "runId": RUN,
        "partial": {"answer": "One ", "sources": [], "steps": []},
    }  # fmt: skip
    told: list[object] = []

    def tell(error: object) -> None:
        # The connection is closed before the caller is told, and may take its time.
        assert server.asked[0].left.wait(60)
        told.append(error)

    with run_script(Answer([*WHOLE[:2], frame(3, failure)], end="hold")) as server:
        seen = both.read(server.url, on_error=tell)
    error = seen.failure()
    assert isinstance(error, RunFailedError)
    assert told == [error]
    assert (error.message, error.code, error.retryable) == ("Too busy.", "provider_throttled", True)
    assert (error.retry_after, error.hint) == (2.0, "Wait a moment.")
    assert (error.partial.answer, error.run_id) == ("One ", RUN)
    assert len(error.partial.steps) == 1
    assert json.dumps(error.raw)
    assert len(server.asked) == 1


def test_an_error_that_is_not_stored_ends_it_too(both: Both) -> None:
    """It has no id of its own, and the id before it does not make it an old event."""
    ended = {"type": "error", "error": "Time ran out.", "code": "deadline", "retryable": True}
    with run_script(Answer([*WHOLE[:2], loose({**ended, "cursor": f"{RUN}-2"})])) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, RunFailedError)
    assert (error.code, error.cursor, error.partial.answer) == ("deadline", f"{RUN}-2", "One ")


def test_a_reset_drops_what_was_shown(both: Both) -> None:
    """The answer so far begins again."""
    again = frame(3, {"type": "reset", "reason": "the model began again"})
    body = [WHOLE[0], token(2, "Wrong"), again, token(4, "Right"), final(5, "Right")]
    reasons: list[str] = []
    with run_script(Answer(body[:4]), Answer(body[4:])) as server:
        seen = both.read(server.url, on_reset=reasons.append)
    assert seen.kinds == ["Status", "Token", "Reset", "Token", "Final"]
    assert reasons == ["the model began again"]
    assert seen.stream is not None
    assert seen.stream.answer == "Right"
    with run_script(Answer(body[:4]), refusal(404, "not_found")) as server:
        assert both.read(server.url).failure().partial.answer == "Right"


def test_a_stream_without_ids_is_read_again_from_the_start(both: Both) -> None:
    """Nothing can be told apart, so what was shown is dropped first."""
    said = [loose({"type": "token", "text": "One "}), loose({"type": "token", "text": "two."})]
    end = loose({"type": "final", "result": {"answer": "One two."}})
    none = {"X-Run-Id": ""}
    with run_script(Answer(said[:1], headers=none), Answer([*said, end], headers=none)) as server:
        seen = both.read(server.url)
    assert seen.kinds == ["Token", "Reset", "Token", "Token", "Final"]
    assert server.lines() == ["POST /api/chat"] * 2
    assert server.asked[0].headers["idempotency-key"] == server.asked[1].headers["idempotency-key"]


def test_an_event_without_end_is_refused(both: Both) -> None:
    """Memory is bounded whatever the server says."""
    endless = [b"data: " + b"x" * (1 << 20)] * 5
    with run_script(Answer([status(1), *endless])) as server:
        error = both.read(server.url).failure()
    assert isinstance(error, ProtocolError)
    assert error.code == "too_large"
    assert len(server.asked) == 1
