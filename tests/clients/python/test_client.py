"""The clients by themselves: what they send, what they give, and how they let go."""

import asyncio
import gc
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

import riverrun_client
from riverrun_client import (
    AsyncClient,
    Client,
    Final,
    GaveUpError,
    Grounding,
    Other,
    RefusedError,
    Result,
    RunFailedError,
    Source,
    Sources,
    Status,
    Token,
    Unmatched,
    Usage,
)
from tests.clients.python.both import PLAIN, Both
from tests.clients.python.scripted_server import (
    RUN,
    WHOLE,
    Answer,
    final,
    frame,
    loose,
    refusal,
    run_script,
    status,
    token,
)

PACKAGE = Path(riverrun_client.__file__).parent.parent
HELD = Answer(WHOLE[:2], end="hold")


def test_it_imports_nothing_but_httpx2(tmp_path: Path) -> None:
    """A package of its own: neither the services nor rich; and the import alone loads nothing."""
    program = (
        "import sys, riverrun_client\n"
        "assert 'httpx2' not in sys.modules\n"
        "from riverrun_client import Client, AsyncClient\n"
        "bad = {'services', 'functions', 'emulator', 'pydantic', 'rich', 'starlette'}\n"
        "print(sorted(bad & {name.partition('.')[0] for name in sys.modules}))"
    )
    environ = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_every_name_is_there() -> None:
    """What the package says it exports can be imported."""
    for name in riverrun_client.__all__:
        assert getattr(riverrun_client, name) is not None
    with pytest.raises(AttributeError):
        _ = riverrun_client.Nothing


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://x:port", "http://a b", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="address"):
        Client(url)


def test_what_is_asked_is_sent_by_the_contracts_names(both: Both) -> None:
    """All fields; half a character does not break the JSON."""
    with run_script(Answer(WHOLE)) as server:
        both.key = "k"
        both.read(
            f"{server.url}/.netlify/functions/chat/",
            "Paris \ud83d?",
            session_id="",
            top_k=3,
            include=("tokens",),
            metadata={"a": "b"},
            idempotency_key="mine",
        )
        (asked,) = server.asked
    assert (asked.method, asked.target) == ("POST", "/.netlify/functions/chat")
    assert asked.json() == {
        "query": "Paris \ufffd?", "streaming": True, "resume": True, "sessionId": "", "top_k": 3,
        "include": ["tokens"], "metadata": {"a": "b"},
    }  # fmt: skip
    assert asked.headers["idempotency-key"] == "mine"
    assert asked.headers["authorization"] == "Bearer k"
    assert asked.headers["accept"] == "text/event-stream"
    assert asked.headers["accept-encoding"] == "identity"


def test_a_query_of_the_address_goes_with_every_request() -> None:
    """As a gateway asks for it; a slash at the end of the path is none of it."""
    last = frame(2, {"type": "final", "result": {"answer": "", "finishReason": "cancelled"}})
    accepted = Answer([b"{}"], 202, {"Content-Type": "application/json"})
    with run_script(Answer([status(1)]), accepted, Answer([last])) as server:
        address = f"{server.url}/api/chat/?tenant=a&x=1"
        with Client(address, sleep=lambda _: None) as client:
            stream = client.stream("x")
            next(iter(stream))
            stream.stop()
            list(stream)
        lines = server.lines()
    assert lines == [
        "POST /api/chat?tenant=a&x=1",
        f"POST /api/chat/runs/{RUN}/stop?tenant=a&x=1",
        f"GET /api/chat/runs/{RUN}/events?after=1&resume=1&tenant=a&x=1",
    ]


def test_an_unknown_option_is_a_mistake() -> None:
    """Not silently nothing."""
    with Client() as client, pytest.raises(TypeError, match="topk"):
        client.stream("x", topk=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "ключ", "a\0"])
def test_what_no_header_can_hold_is_refused_before_it_is_sent(both: Both, value: str) -> None:
    """A key from a file with something behind it adds no header."""
    with run_script(Answer(WHOLE)) as server:
        with pytest.raises(ValueError, match="printable ASCII"):
            both.read(server.url, idempotency_key=value)
        both.key = value
        with pytest.raises(ValueError, match="printable ASCII"):
            both.read(server.url)
    assert server.asked == []


def test_two_questions_have_two_keys(both: Both) -> None:
    """A key is one start, not one client."""
    with run_script(Answer(WHOLE)) as server:
        both.read(server.url)
        both.read(server.url)
    first, second = server.asked
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_events_are_typed_and_what_is_not_known_is_kept(both: Both) -> None:
    """Fields that are missing, of another type or new break nothing."""
    source = {"id": "a", "title": "T", "uri": "u", "score": 0.5, "snippet": "s", "new": 1}
    body = [
        frame(1, {"type": "status", "status": {"step": "1", "progress": True, "data": {"n": 1}}}),
        frame(2, {"type": "sources", "sources": [source, "none"]}),
        frame(3, {"type": "thought", "text": "?"}),
        loose({"type": "hint"}),
        frame(4, {"type": "usage", "usage": {"inputTokens": 3, "outputTokens": 1e400}}),
        token(5, ""),
        frame(6, {"type": "final", "result": {"answer": "", "usage": {"costUsd": 0.1}}}),
    ]
    told: list[Any] = []
    with run_script(Answer(body)) as server:
        seen = both.read(
            server.url,
            on_status=told.append,
            on_token=told.append,
            on_sources=told.append,
            on_complete=told.append,
        )
    one, found, thought, hint, usage, piece, end = seen.events
    assert isinstance(one, Status)
    assert (one.step, one.description, one.progress, one.data) == (0, "", None, {"n": 1})
    assert isinstance(found, Sources)
    assert found.sources == (Source(id="a", title="T", uri="u", score=0.5, snippet="s"),)
    assert found.raw["sources"][0]["new"] == 1
    assert (thought, hint) == (Other(type="thought", id=f"{RUN}-3"), Other(type="hint", id=""))
    assert isinstance(usage, Usage)
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (3, 0, None)
    assert isinstance(piece, Token)
    assert isinstance(end, Final)
    assert told == [one, found.sources, "", end.result]


def test_asking_returns_the_result_and_calls_back(both: Both) -> None:
    """The shortest way to use it."""
    pieces: list[str] = []
    with run_script(Answer(WHOLE)) as server:
        result = both.call(server.url, "ask", "x", on_token=pieces.append)
    assert isinstance(result, Result)
    assert result.answer == "".join(pieces) == "One two three."


def test_async_callbacks_are_awaited() -> None:
    """And their failure is the iteration's."""
    pieces: list[str] = []

    async def keep(text: str) -> None:
        await asyncio.sleep(0)
        pieces.append(text)

    async def work() -> None:
        async with AsyncClient(server.url) as client:
            await client.ask("x", on_token=keep)

    with run_script(Answer(WHOLE)) as server:
        asyncio.run(work())
    assert pieces == ["One ", "two ", "three."]


def test_a_callback_that_fails_ends_the_iteration_and_closes_the_line(both: Both) -> None:
    """It is the caller's mistake, and the caller's exception."""

    def raise_error(_: str) -> None:
        raise KeyError("mine")

    with run_script(HELD) as server:
        with pytest.raises(KeyError):
            both.read(server.url, on_token=raise_error)
        assert server.asked[0].left.wait(60)


def test_a_run_is_stopped_on_the_server(both: Both) -> None:
    """By its id, with a POST."""
    with run_script(Answer([b"{}"], 202, {"Content-Type": "application/json"})) as server:
        both.call(server.url, "stop", RUN)
    assert server.lines() == [f"POST /api/chat/runs/{RUN}/stop"]
    assert server.asked[0].headers["content-type"] == "application/json"


def test_what_cannot_be_stopped_is_an_error(both: Both) -> None:
    """Not a silence that looks like success."""
    with run_script(refusal(404, "not_found")) as server, pytest.raises(RefusedError):
        both.call(server.url, "stop", RUN)
    with pytest.raises(GaveUpError):
        both.call("http://127.0.0.1:1", "stop", RUN)


def test_a_result_says_whether_its_citations_hold(both: Both) -> None:
    """`grounding`, as the server says it; what is not of its type is left out."""
    result = {
        "answer": "One [7].",
        "grounding": {
            "score": 0.5,
            "citations": 2,
            "unmatched": [{"citation": 7, "mark": 1, "reason": "missing"}, "?"],
        },
    }
    with run_script(Answer([frame(1, {"type": "final", "result": result})])) as server:
        seen = both.read(server.url)
    assert seen.stream is not None
    assert seen.stream.result is not None
    assert seen.stream.result.grounding == Grounding(
        score=0.5, citations=2, unmatched=(Unmatched(citation=7, mark=1, reason="missing"),)
    )


def test_a_stream_is_stopped_and_its_last_words_are_read() -> None:
    """Stop, then read on: the terminal event comes from the log."""
    last = frame(3, {"type": "final", "result": {"answer": "One ", "finishReason": "cancelled"}})
    accepted = Answer([b"{}"], 202, {"Content-Type": "application/json"})
    with run_script(HELD, accepted, Answer([last])) as server, Client(server.url) as client:
        stream = client.stream("x")
        for event in stream:
            if isinstance(event, Token):
                stream.stop()
                break
        assert [type(event).__name__ for event in stream] == ["Final"]
        assert stream.result is not None
        assert stream.result.finish_reason == "cancelled"
        stream.stop()  # it has ended: nothing is sent
        lines = server.lines()
    assert lines == [
        "POST /api/chat",
        f"POST /api/chat/runs/{RUN}/stop",
        f"GET /api/chat/runs/{RUN}/events?after=2&resume=1",
    ]


def test_a_question_whose_answer_has_not_come_is_found_by_its_key_and_stopped() -> None:
    """Ctrl-C between the POST and its headers must not leave a model running."""
    accepted = Answer([b"{}"], 202, {"Content-Type": "application/json"})
    mute = threading.Event()
    with run_script(Answer([], end="nothing"), HELD, accepted) as server:
        with Client(server.url, sleep=_interrupt) as client:
            stream = client.stream("x")
            with pytest.raises(KeyboardInterrupt):
                list(stream)
            stream.stop()
        mute.set()
    first, again, stopped = server.asked
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert stopped.target == f"/api/chat/runs/{RUN}/stop"


def _interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_a_stream_that_was_stopped_before_it_began_asks_nothing(both: Both) -> None:
    """Nothing was sent, nothing is."""
    with run_script(Answer(WHOLE)) as server, Client(server.url) as client:
        stream = client.stream("x")
        stream.stop()
        with pytest.raises(RunFailedError) as caught:
            list(stream)
        assert caught.value.code == "cancelled"
    assert server.asked == []


def test_the_state_of_a_run_is_its_json(both: Both) -> None:
    """GET runs/{run}."""
    with run_script(Answer([b'{"state": "running"}'], 200, {"Content-Type": "x/y"})) as server:
        assert both.call(server.url, "state", RUN) == {"state": "running"}
        assert server.lines() == [f"GET /api/chat/runs/{RUN}"]


GONE = Answer([], 204, {"Content-Type": ""})


def test_what_is_ones_own_is_listed_and_deleted(both: Both) -> None:
    """Each by a request of its own; a session may be called anything."""
    listed = Answer([b'{"runs": []}'], 200, {"Content-Type": "application/json"})
    with run_script(listed, GONE) as server:
        assert both.call(server.url, "list_runs", 5) == {"runs": []}
        assert both.call(server.url, "delete", RUN) is None
        assert both.call(server.url, "delete_session", "a/b ?") is None
    assert server.lines() == [
        "GET /api/chat/runs?limit=5",
        f"DELETE /api/chat/runs/{RUN}",
        "DELETE /api/chat/sessions/a%2Fb%20%3F",
    ]
    assert [asked.body for asked in server.asked] == [b"", b"", b""]


def test_a_deletion_whose_answer_was_lost_is_one(both: Both) -> None:
    """Asked again it is not there; without a try before, that is an error."""
    lost = Answer([], 204, {"Content-Type": ""}, end="nothing")
    with run_script(lost, refusal(404, "not_found")) as server:
        both.call(server.url, "delete", RUN)
    assert len(server.asked) == 2
    with run_script(refusal(404, "not_found")) as server, pytest.raises(RefusedError):
        both.call(server.url, "delete", RUN)


def _break(client: Client) -> object:
    stream = client.stream("x")
    for event in stream:
        if isinstance(event, Token):
            break
    return stream


def _collect(client: Client) -> object:
    events = iter(client.stream("x"))
    next(events)
    del events
    return gc.collect()


def _close(client: Client) -> object:
    stream = client.stream("x")
    events = iter(stream)
    next(events)
    stream.close()
    assert list(events) == []
    return events


def _leave_with(client: Client) -> object:
    with client.stream("x") as stream:
        events = iter(stream)
        next(events)
    return events


def _raise(client: Client) -> object:
    with suppress(KeyError):
        for _ in client.stream("x"):
            raise KeyError
    return None


def _again(client: Client) -> object:
    stream = client.stream("x")
    first = iter(stream)
    next(first)
    iter(stream)
    return first


@pytest.mark.parametrize("leave", [_break, _collect, _close, _leave_with, _raise, _again])
def test_leaving_the_loop_closes_the_socket(leave: Callable[[Client], object]) -> None:
    """CR09, blocking: at once, without a warning, without a thread."""
    before = set(threading.enumerate())
    with run_script(HELD) as server, Client(server.url) as client:
        kept = leave(client)
        assert server.asked[0].left.wait(60)
        gc.collect()
        del kept
    assert set(threading.enumerate()) <= before  # another test's thread may end meanwhile


async def _abreak(client: AsyncClient) -> object:
    stream = client.stream("x")
    async for event in stream:
        if isinstance(event, Token):
            break
    return stream


async def _acollect(client: AsyncClient) -> object:
    events = aiter(client.stream("x"))
    await anext(events)
    del events
    return gc.collect()


async def _aclose(client: AsyncClient) -> object:
    stream = client.stream("x")
    events = aiter(stream)
    await anext(events)
    await stream.aclose()
    return events


async def _aleave_with(client: AsyncClient) -> object:
    async with client.stream("x") as stream:
        events = aiter(stream)
        await anext(events)
    return events


async def _aagain(client: AsyncClient) -> object:
    stream = client.stream("x")
    first, second = aiter(stream), aiter(stream)
    before = await anext(first)
    after = await anext(second)  # where the first was; only then is there time to close it
    assert [before.id, after.id] == [f"{RUN}-1", f"{RUN}-2"]
    assert [event async for event in first] == []
    return second


async def _cancel(client: AsyncClient) -> object:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in client.stream("x"):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return task


async def _cancel_scope(client: AsyncClient) -> object:
    with anyio.CancelScope() as scope:
        async for event in client.stream("x"):
            if isinstance(event, Token):
                asyncio.get_running_loop().call_soon(scope.cancel)
    return scope


@pytest.mark.parametrize(
    "leave", [_abreak, _acollect, _aclose, _aleave_with, _aagain, _cancel, _cancel_scope]
)
def test_leaving_the_async_loop_closes_the_socket(
    leave: Callable[[AsyncClient], Awaitable[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    """CR09, async: the same, also when the task is cancelled."""
    before = set(threading.enumerate())

    async def work(url: str) -> None:
        async with AsyncClient(url) as client:
            kept = await leave(client)
            assert await asyncio.to_thread(server.asked[0].left.wait, 60)
            del kept

    with run_script(HELD) as server:
        asyncio.run(work(server.url), debug=True)
        gc.collect()
    assert set(threading.enumerate()) <= before  # another test's thread may end meanwhile
    assert capsys.readouterr().err == ""


def test_a_task_can_be_cancelled_at_any_of_its_awaits(capsys: pytest.CaptureFixture[str]) -> None:
    """CR09: while it connects, sends, waits for the head, reads; nothing is left over.

    In how many turns of its loop a question is sent is the machine's to say: turns are added until
    some were.
    """

    async def work(url: str) -> None:
        async with httpx2.AsyncClient(**PLAIN) as http:
            client = AsyncClient(url, http=http)
            for turns in itertools.count():
                if turns >= 60 and len(server.asked) > 3:
                    break
                task = asyncio.create_task(client.ask("x"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    with run_script(HELD) as server:
        asyncio.run(work(server.url))
        gc.collect()
        for asked in server.asked:
            assert asked.left.wait(60)
    assert capsys.readouterr().err == ""


def test_a_loop_that_ends_takes_its_streams_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """CR09: an iterator that is still held when the program is over."""
    held: list[object] = []

    async def work(url: str) -> None:
        async with AsyncClient(url) as client:
            held.append(events := aiter(client.stream("x")))
            await anext(events)

    with run_script(HELD) as server:
        asyncio.run(work(server.url), debug=True)
        assert server.asked[0].left.wait(60)
    held.clear()
    gc.collect()
    assert capsys.readouterr().err == ""


def test_leaving_while_it_waits_to_try_again_leaves_nothing() -> None:
    """Cancelled in its backoff: no socket, no timer, no further request."""

    async def work(url: str) -> None:
        waiting = asyncio.Event()

        async def forever(_: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        async with AsyncClient(url, sleep=forever) as client:
            task = asyncio.create_task(client.ask("x"))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with run_script(Answer([], end="nothing")) as server:
        asyncio.run(work(server.url), debug=True)
        assert len(server.asked) == 1


def test_a_consumer_that_takes_its_time_holds_no_line_after_the_end() -> None:
    """The connection is closed before the final event is handed out, not when it is dealt with."""
    with run_script(Answer(WHOLE, end="hold")) as server, Client(server.url) as client:
        for event in client.stream("x"):
            if isinstance(event, Final):
                assert server.asked[0].left.wait(60)


def test_many_streams_at_once_do_not_wait_for_each_other() -> None:
    """More than a pool of connections usually has."""

    async def work(url: str) -> list[Result]:
        async with AsyncClient(url) as client:
            return await asyncio.gather(*(client.ask("x") for _ in range(120)))

    with run_script(Answer([status(1), final(2)])) as server:
        assert len(asyncio.run(work(server.url))) == 120
