"""A run goes on in another invocation, under the same numbers, and is paid for once."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from services.chat import ModelUsage, Piece, Prompt, Stop, Text
from services.runs import Entry, Run, RunLogError, SequenceConflictError
from services.runs.memory import MemoryLog
from services.streaming import (
    App,
    Cursor,
    Question,
    ReaderTerms,
    handle_request,
    handle_resume,
    handle_state,
    handle_stop,
    handle_streaming_request,
)
from services.streaming.deadlines import PROMISED_MARGIN
from services.streaming.event_json import payload
from services.streaming.events import Sources, Status, Token
from services.streaming.http.requests import make_fingerprint
from services.streaming.question import dump_question
from services.streaming.readers.join import ProducerSpec, _read_existing
from services.streaming.run.resume import IDLE_LIMIT, RESUMED_DESCRIPTION, ResumedRun, take_over_run
from tests.services.streaming.instant import instant
from tests.services.streaming.invocations import (
    WHOLE,
    WORDS,
    Documents,
    Words,
    ask,
    events_of,
    ids,
    kinds,
    make_app,
    passage,
    place,
    resume,
    to_the_end,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


async def test_time_runs_out_and_the_next_invocation_goes_on(
    app: App, chat: Words, log: MemoryLog
) -> None:
    """One gapless stream with one end, each word asked for once."""
    first = await ask(app)
    assert [kind for _, kind in first][-1] == {
        "type": "paused", "reason": "deadline", "cursor": first[-2][0], "resumeAfterMs": 0,
    }  # fmt: skip
    assert first[-1][0] == ""
    assert chat.open == 0
    run, _ = place(first)
    assert "final" not in await kinds(log, run)
    whole = await to_the_end(app, first)
    assert ids(whole) == [f"{run}-{n}" for n in range(1, len(whole) + 1)]
    result = whole[-1][1]["result"]
    assert result["answer"] == WHOLE
    said = [prompt.so_far for prompt in chat.asked]
    assert all(prompt.is_watched for prompt in chat.asked[1:])
    assert said[0] == ""
    assert all(WHOLE.startswith(text) for text in said)
    assert sorted(set(said), key=len) == said
    names = [event["type"] for _, event in whole]
    assert names.count("sources") == 1
    assert names.count("final") == 1
    assert "error" not in names
    assert all(
        "data" not in e["status"]
        for _, e in whole
        if e.get("status", {}).get("description") == RESUMED_DESCRIPTION
    )
    descriptions = [e["status"]["description"] for _, e in whole if e["type"] == "status"]
    assert descriptions.count("Searching the documents") == 1
    assert descriptions.count("Going on with the answer") == len(chat.asked) - 1
    assert [e async for e in _entries(log, run)] == [event for _, event in whole]


async def _entries(log: MemoryLog, run: str) -> AsyncIterator[dict[str, Any]]:
    for entry in await log.read(run, 0):
        yield json.loads(entry.payload)


async def test_what_it_cost_adds_up(log: MemoryLog) -> None:
    """Also where the first invocation had paid already; the time counts from its beginning."""

    class PaidProvider(Words):
        async def stream(self, prompt: Prompt, **_: Any) -> AsyncGenerator[Piece, None]:
            yield ModelUsage(input_tokens=10, output_tokens=1, cost_usd=0.25)
            yield Text("b" if prompt.so_far else "a")
            if not prompt.so_far:
                await asyncio.sleep(1e6)
            yield Stop("stop")

    app = make_app(log, PaidProvider())
    began = time.time()
    whole = await to_the_end(app, await ask(app))
    result = whole[-1][1]["result"]
    assert result["answer"] == "ab"
    assert result["usage"] == {"inputTokens": 20, "outputTokens": 2, "costUsd": 0.5}
    assert result["executionTimeMs"] <= (time.time() - began) * 1000 + 1


async def test_a_reader_who_does_not_come_back_is_told_an_error_that_can_be_tried_again(
    app: App, chat: Words, log: MemoryLog
) -> None:
    """It has no id, all there was, and where to read on; nothing of it is kept."""
    events = await ask(app, resume=False)
    id_, error = events[-1]
    run, seq = place(events)
    assert (id_, error["code"], error["retryable"]) == ("", "deadline", True)
    tokens = [event["text"] for _, event in events if event["type"] == "token"]
    assert error["partial"]["answer"] == "".join(tokens) == "".join(WORDS[: len(tokens)])
    assert error["runId"] == run
    assert seq == len(events) - 1
    assert "error" not in await kinds(log, run)
    state = json.loads(bytes((await handle_state(run, app=app)).body))
    assert (state["state"], state["partial"]["answer"]) == ("paused", "".join(tokens))
    asked = len(chat.asked)
    again = await resume(app, run, 0, resume=False)
    assert (again[:-1], again[-1][1]["code"]) == (events[:-1], "deadline")
    assert len(chat.asked) == asked


async def test_one_object_is_a_504_and_the_same_request_goes_on(app: App, chat: Words) -> None:
    """With its key; each time a little further."""
    question = Question(query="go", idempotency_key="k", seconds_left=8.0, session_id="")
    statuses = []
    body: dict[str, Any] = {}
    for _ in range(9):
        response = await handle_request(question, app=app)
        body = json.loads(bytes(response.body))
        statuses.append(response.status_code)
        if response.status_code == 200:
            break
        assert (body["code"], body["retryable"]) == ("deadline", True)
        assert body["cursor"].startswith(response.headers["x-run-id"])
    assert statuses[0] == 504
    assert statuses[-1] == 200
    assert body["answer"] == WHOLE
    assert len(chat.asked) == len(statuses)
    once_more = await handle_request(question, app=app)
    assert json.loads(bytes(once_more.body)) == body
    assert len(chat.asked) == len(statuses)


async def test_the_same_request_goes_on_though_it_does_not_say_resume(
    app: App, chat: Words
) -> None:
    """Its key and its body say enough; the whole answer is told from its beginning."""
    events = await ask(app, resume=False, idempotency_key="k")
    run, _ = place(events)
    events = await ask(app, resume=False, left=60.0, idempotency_key="k")
    assert ids(events) == [f"{run}-{n}" for n in range(1, len(events) + 1)]
    assert events[-1][1]["result"]["answer"] == WHOLE
    assert len(chat.asked) == 2


async def test_citations_keep_their_numbers(app: App, chat: Words, log: MemoryLog) -> None:
    """The passages that were shown, in that order, though the documents have changed."""
    first = await ask(app)
    changed = Documents((passage("c"), passage("b")))
    whole = await to_the_end(App(log=log, chat=chat, context=changed), first, left=60.0)
    again = chat.asked[-1].passages
    assert [one.id for one in again] == ["a", "b"]
    assert again[0].text == "About a."
    assert [one["id"] for one in whole[-1][1]["result"]["sources"]] == ["a", "b"]


@pytest.mark.parametrize("include", [frozenset(), frozenset({"usage"}), frozenset({"tokens"})])
async def test_what_a_run_was_asked_not_to_say_is_not_lost(
    include: Any, app: App, chat: Words
) -> None:
    """The checkpoint has it, so nothing is written twice."""
    whole = await to_the_end(app, await ask(app, include=include))
    result = whole[-1][1]["result"]
    assert (result["answer"], len(result["sources"])) == (WHOLE, 2)
    assert len({prompt.so_far for prompt in chat.asked}) == len(chat.asked) > 1
    said = {event["type"] for _, event in whole}
    assert said == {"status", "final"} | {{"tokens": "token"}.get(one, one) for one in include}


async def count_up(question: Question) -> AsyncIterator[str]:
    """A producer that can go on."""
    said = 0
    for word in WORDS:
        said += len(word)
        if said > len(question.so_far):
            await asyncio.sleep(1)
            yield word


async def test_a_producer_that_did_not_say_so_is_not_gone_on_with(app: App) -> None:
    """Its run ends as it always did, with what there was."""
    asked = Question(query="go", resume=True, seconds_left=8.0)
    response = await handle_streaming_request(asked, producer=count_up, app=app)
    events = await events_of(response)
    assert events[-1][0] != ""
    assert events[-1][1]["code"] == "deadline"


async def test_a_producer_that_says_so_is_gone_on_with(app: App, chat: Words) -> None:
    """By the producer that knows it; the pipeline does not answer in its place."""
    asked = Question(query="go", resume=True, seconds_left=8.0)
    response = await handle_streaming_request(asked, producer=count_up, resumable=True, app=app)
    first = await events_of(response)
    assert first[-1][1]["type"] == "paused"
    other = await resume(app, *place(first))
    assert [event["type"] for _, event in other] == ["error"]
    assert chat.asked == []
    whole = await to_the_end(app, first, producer=count_up)
    assert whole[-1][1]["result"]["answer"] == WHOLE
    assert ids(whole) == [f"{place(first)[0]}-{n + 1}" for n in range(len(whole))]


async def test_of_many_who_come_back_one_goes_on_and_all_read(
    app: App, elsewhere: App, chat: Words
) -> None:
    """In two processes; losing the race is following."""
    first = await ask(app)
    run, seq = place(first)
    readers = [resume(one, run, seq, left=60.0) for one in (app, elsewhere) * 5]
    rests = await asyncio.gather(*readers)
    assert all(rest == rests[0] for rest in rests)
    assert rests[0][-1][1]["result"]["answer"] == WHOLE
    assert len(chat.asked) == 2


async def _dead(log: MemoryLog, said: list[Any], question: bytes | None = None) -> Run:
    """A run whose producer is gone, with what it said."""
    kept = Question(query="go")
    run, _ = await log.start(
        owner=None, key=None, fingerprint="f", question=question or dump_question(kept)
    )  # fmt: skip
    kind = {Token: "token", Status: "status", Sources: "sources"}
    entries = [Entry(n, kind[type(one)], payload(one)) for n, one in enumerate(said, 1)]
    await log.append(run.id, entries)
    await log.doubt(run)
    await log.expire(run)
    return await log.find(run.id, None)


SAID = [
    Status(step=1, description="Reading the question", status="completed", timestamp=1),
    Status(step=3, description="Writing the answer", status="executing", timestamp=1),
    Token(WORDS[0]),
]


async def test_a_dead_producer_is_replaced_by_who_says_resume(
    app: App, chat: Words, log: MemoryLog
) -> None:
    """Where it broke off."""
    run = await _dead(log, SAID)
    rest = await resume(app, run.id, 2, left=60.0)
    assert ids(rest) == [f"{run.id}-{n}" for n in range(3, 3 + len(rest))]
    assert rest[-1][1]["result"]["answer"] == WHOLE
    assert [prompt.so_far for prompt in chat.asked] == [WORDS[0]]


async def test_for_who_does_not_it_is_closed(app: App, log: MemoryLog) -> None:
    """As interrupted, for all readers, with an id."""
    run = await _dead(log, SAID)
    rest = await resume(app, run.id, 3, resume=False)
    assert rest[-1][1]["code"] == "interrupted"
    assert rest[-1][0] == f"{run.id}-{3 + len(rest)}"


async def test_a_reader_whose_producer_dies_under_them_has_it_go_on_at_once(
    app: App, log: MemoryLog, chat: Words
) -> None:
    """In the same body, within six seconds of the last sign of life, whatever the clocks say."""
    run = await _dead(log, SAID)
    await log.claim(run)
    began = asyncio.get_running_loop().time()
    whole = await resume(app, run.id, 0, left=900.0)
    assert whole[-1][1]["result"]["answer"] == WHOLE
    assert asyncio.get_running_loop().time() - began - len(chat.words) < 6.0
    assert len(chat.asked) == 1


@pytest.mark.parametrize("seconds", [0.0, 1.0, 3.0])
async def test_a_repeat_soon_after_a_crash_makes_it_go_on(
    app: App, elsewhere: App, log: MemoryLog, chat: Words, seconds: float
) -> None:
    """With the same key, without `resume`, while the lease of the dead producer still held."""
    asked = Question(query="go", idempotency_key="k")
    run, _ = await log.start(
        owner=None, key="k", fingerprint=make_fingerprint(asked), question=dump_question(asked, "")
    )
    await asyncio.sleep(seconds)
    response: Any = await handle_request(asked, app=elsewhere)
    assert json.loads(response.body)["answer"] == WHOLE
    assert json.loads(response.body)["runId"] == run.id
    assert len(chat.asked) == 1


async def test_an_old_producer_that_wakes_up_is_shut_out(
    app: App, elsewhere: App, chat: Words, log: MemoryLog
) -> None:
    """Frozen past its lease, it writes no more, its provider is closed, its reader goes on."""
    old = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(3.5)
    (run,) = app.live.tasks
    log._records.running[run].run = replace(log._records.running[run].run, lease_until=0.0)
    rest = await resume(elsewhere, run, 0, left=900.0)
    assert rest == await old
    assert ids(rest) == [f"{run}-{n}" for n in range(1, len(rest) + 1)]
    assert rest[-1][1]["result"]["answer"] == WHOLE
    assert (len(chat.asked), chat.open) == (2, 0)


async def test_an_entry_that_came_after_the_claim_is_read_before_going_on(
    app: App, chat: Words
) -> None:
    """The fence does not fit, so what came is read; nothing was paid for yet."""

    class HauntedLog(MemoryLog):
        haunts = 2

        async def append(self, run_id: str, entries: Any) -> None:
            if b"Going on" in entries[0].payload and self.haunts:
                self.haunts -= 1
                word = WORDS[2 - self.haunts]
                late = Entry(entries[0].seq, "token", payload(Token(word)))
                await super().append(run_id, [late])
            await super().append(run_id, entries)

    log = HauntedLog(is_durable=True)
    app = make_app(log, chat)
    run = await _dead(log, SAID)
    rest = await resume(app, run.id, 0, left=60.0)
    assert rest[-1][1]["result"]["answer"] == WHOLE
    assert [prompt.so_far for prompt in chat.asked] == ["".join(WORDS[:3])]


async def test_a_run_that_says_nothing_more_is_not_paid_for_for_ever(
    app: App, chat: Words, log: MemoryLog
) -> None:
    """It ends in the log, with what there was."""
    chat.words = [WORDS[0], "never"]

    async def hang(prompt: Prompt, **_: Any) -> AsyncGenerator[Piece, None]:
        chat.asked.append(prompt)
        if not prompt.so_far:
            yield Text(WORDS[0])
        await asyncio.sleep(1e6)

    chat.stream = hang  # type: ignore[method-assign]  # one that never goes on
    whole = await to_the_end(app, await ask(app))
    id_, error = whole[-1]
    assert error["code"] == "deadline"
    assert error["partial"]["answer"] == WORDS[0]
    assert id_.endswith(f"-{len(whole)}")
    assert len(chat.asked) == 1 + IDLE_LIMIT


async def test_a_run_is_gone_on_with_for_so_long_and_no_longer(log: MemoryLog, chat: Words) -> None:
    """Counted from its beginning."""
    app = make_app(log, chat, max_run_seconds=0.0001)
    first = await ask(app)
    await asyncio.to_thread(time.sleep, 0.001)
    rest = await resume(app, *place(first))
    assert rest[-1][1]["code"] == "deadline"
    assert rest[-1][0] != ""
    assert len(chat.asked) == 1


async def test_a_paused_run_can_be_stopped(app: App, chat: Words) -> None:
    """What was said is kept, and it is not resumed."""
    first = await ask(app)
    run, seq = place(first)
    assert (await handle_stop(run, app=app)).status_code == 202
    rest = await resume(app, run, seq)
    result = rest[-1][1]["result"]
    assert (result["finishReason"], len(chat.asked)) == ("cancelled", 1)
    assert WHOLE.startswith(result["answer"])


async def test_a_stop_elsewhere_reaches_who_goes_on(app: App, elsewhere: App, chat: Words) -> None:
    """Within one look at the log, also when the provider is silent."""
    chat.words = [WORDS[0], *["x" * 9] * 900]
    first = await ask(app)
    run, seq = place(first)
    reading = asyncio.create_task(resume(app, run, seq, left=900.0))
    await asyncio.sleep(2.2)
    assert chat.open == 1
    await handle_stop(run, app=elsewhere)
    await asyncio.sleep(1.2)
    assert chat.open == 0
    assert (await reading)[-1][1]["result"]["finishReason"] == "cancelled"


async def _take(run: Run, app: App) -> ResumedRun | None:
    return await take_over_run(run, app.log, app.live, ReaderTerms(resume=True), max_seconds=3600.0)


async def test_a_run_that_is_produced_cannot_be_taken(app: App, elsewhere: App) -> None:
    """Neither here nor from elsewhere, nor when it is over."""
    reading = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(2)
    (production,) = app.live.tasks.values()
    for one in (app, elsewhere):
        assert await _take(production.run, one) is None
    await reading
    assert await _take(production.run, elsewhere) is None


async def test_a_claim_that_is_lost_at_the_last_moment_is_lost(
    app: App, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then another process goes on."""
    run = await _dead(log, SAID)

    async def claim(*_: Any, **__: Any) -> Run:
        raise SequenceConflictError

    monkeypatch.setattr(log, "claim", claim)
    assert await _take(run, app) is None


async def test_who_closes_a_dead_run_leaves_one_alone_that_was_just_taken(
    app: App, chat: Words
) -> None:
    """Between the look and the last entry another process resumed it."""

    class RacingLog(MemoryLog):
        raced = False

        async def append(self, run_id: str, entries: Any) -> None:
            if b'"interrupted"' in entries[-1].payload and not self.raced:
                self.raced = True
                await self.claim(await self.find(run_id, None))
                going_on = Status(step=3, description="Going on", status="executing", timestamp=1)
                fence = Entry(entries[0].seq, "status", payload(going_on))
                await super().append(run_id, [fence])
            await super().append(run_id, entries)

    log = RacingLog(is_durable=True, monotonic=asyncio.get_running_loop().time)
    app = make_app(log, chat)
    run = await _dead(log, SAID)
    reading = asyncio.create_task(resume(app, run.id, 0, resume=False, left=900.0))
    await asyncio.sleep(4)
    assert log.raced
    assert (await kinds(log, run.id))[-1] == "status"
    await handle_stop(run.id, app=app)
    assert (await reading)[-1][1]["result"]["finishReason"] == "cancelled"


@pytest.mark.parametrize("is_here", [True, False])
async def test_who_may_not_have_it_go_on_leaves_it_to_one_who_may(
    app: App, elsewhere: App, log: MemoryLog, is_here: bool
) -> None:
    """The reader without `resume` came first, and had ended the answer for both."""
    run = await _dead(log, SAID)
    plain = asyncio.create_task(resume(app, run.id, 0, resume=False, left=900.0))
    await asyncio.sleep(1.1)
    back = await resume(app if is_here else elsewhere, run.id, 0, left=900.0)
    assert back[-1][1]["result"]["answer"] == WHOLE
    assert await plain == back


async def test_a_stop_waits_for_a_log_that_is_busy(
    app: App, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was promised; else the answer would go on when the log works again."""
    reading = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(3)
    runs = list(app.live.tasks)
    assert "token" in await kinds(log, runs[0])
    real, refused = MemoryLog.append, 0

    async def append(self: MemoryLog, run_id: str, entries: Any) -> None:
        nonlocal refused
        refused += 1
        if refused < 20:
            raise RunLogError("The run log is busy.")
        await real(self, run_id, entries)

    monkeypatch.setattr(MemoryLog, "append", append)
    assert (await handle_stop(runs[0], app=app)).status_code == 202
    assert (await reading)[-1][1]["result"]["finishReason"] == "cancelled"
    assert (await kinds(log, runs[0]))[-1] == "final"


async def test_a_stop_keeps_also_what_was_not_to_be_said(app: App) -> None:
    """The session and the metadata of the question too."""
    first = await ask(app, include=frozenset(), metadata={"k": "v"}, session_id="s")
    run, seq = place(first)
    await handle_stop(run, app=app)
    result = (await resume(app, run, seq))[-1][1]["result"]
    assert WHOLE.startswith(result["answer"])
    assert (result["metadata"], result["sessionId"]) == ({"k": "v"}, "s")
    assert result["answer"]


async def test_a_conversation_remembers_an_answer_once(app: App, log: MemoryLog) -> None:
    """Whole, whichever process wrote how much of it."""
    await to_the_end(app, await ask(app, session_id="s"))
    assert await log.read_turns(None, "s", 9) == [("go", WHOLE)]


async def test_a_turn_that_was_remembered_already_is_not_remembered_twice(
    app: App, log: MemoryLog
) -> None:
    """An invocation may end between the last word and the end."""
    first = await ask(app, session_id="s")
    await log.add_turn(None, "s", "go", WHOLE)
    await to_the_end(app, first, left=60.0)
    assert await log.read_turns(None, "s", 9) == [("go", WHOLE)]


@pytest.mark.parametrize("seconds", [0.1, 3.5])
async def test_a_production_that_is_cancelled_lets_its_run_go(
    seconds: float, app: App, chat: Words
) -> None:
    """As when a runtime ends what an invocation left behind, at its beginning or in the middle."""
    reading = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(seconds)
    (production,) = app.live.tasks.values()
    production.task.cancel()
    first = await reading
    assert first[-1][1]["reason"] == "shutdown"
    whole = await to_the_end(app, first, left=900.0)
    assert whole[-1][1]["result"]["answer"] == WHOLE


async def test_a_reader_whose_time_the_log_has_taken_leaves_the_run_to_its_next_request(
    app: App, log: MemoryLog, chat: Words
) -> None:
    """It neither resumes a run without a word more, nor ends one that another may resume."""
    run = await _dead(log, SAID)
    app.live.streams += 2
    spec = ProducerSpec(resumable=True)
    for resumes in (True, False):
        asked = asyncio.get_running_loop().time() - 3.0
        terms = ReaderTerms(resume=resumes, seconds_left=5.0, measured_at=asked)
        _, entries = await _read_existing(run, 0, terms, spec, app, may_resume=True)
        async with aclosing(entries):
            told = [entry async for entry in entries if entry is not None]
        assert told[-1].seq == 0
        assert chat.asked == []
    assert not (await log.read(run.id, 0))[-1].terminal


async def test_a_stop_that_is_always_too_late_says_so(app: App, log: MemoryLog) -> None:
    """A run that goes on elsewhere and is faster each time: not stopped, and worth another try."""
    run = await _dead(log, SAID)

    async def lose(*_asked: Any) -> None:
        raise SequenceConflictError

    log.append = lose  # type: ignore[method-assign,assignment]
    response = await handle_stop(run.id, app=app)
    assert response.status_code == 503
    assert json.loads(bytes(response.body))["retryable"] is True


@pytest.mark.parametrize("front", [False, True])
async def test_what_the_log_takes_to_find_a_run_comes_off_the_time_of_its_reader(
    app: App, log: MemoryLog, chat: Words, front: bool
) -> None:
    """However slow the log is before the first byte, the last one leaves in time."""
    run_id, seq = place(await ask(app))
    slow_down(log, 1.0, "find", "read_last", "claim", "renew")
    now = asyncio.get_running_loop().time
    reader = ReaderTerms(
        resume=True,
        seconds_left=900.0 if front else 10.0,
        response_seconds_left=10.0 if front else None,
    )
    asked = now()
    events = await events_of(await handle_resume(Cursor(run_id, seq), reader=reader, app=app))
    assert events[-1][1]["type"] == "paused"
    assert now() - asked <= 10.0 - PROMISED_MARGIN + 0.001
    await app.live.wait_finished(run_id)


def slow_down(log: MemoryLog, seconds: float, *names: str) -> None:
    """Let these methods of `log` take so long."""

    def delayed(method: Any) -> Any:
        async def wait_and_do(*given: Any, **named: Any) -> Any:
            await asyncio.sleep(seconds)
            return await method(*given, **named)

        return wait_and_do

    for name in names:
        setattr(log, name, delayed(getattr(log, name)))
