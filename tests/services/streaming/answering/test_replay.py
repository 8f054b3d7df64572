"""A recording is said again: the same events, through the same endpoint, without a model."""

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json
from starlette.responses import Response

from services.errors import RiverrunError, SetupError
from services.runs import Entry, Run
from services.runs.recordings import Recording, record_lines
from services.settings import Settings
from services.streaming.answering.replay import find_recording, replay
from services.streaming.app import App
from services.streaming.events import Event, Source, Sources, Status, Token, Usage, UsageEvent
from services.streaming.handlers import handle_request, handle_streaming_request
from services.streaming.question import Earlier, Question

pytestmark = pytest.mark.anyio

OWN = ("timestamp", "runId", "sessionId", "metadata", "executionTimeMs", "cursor")


async def answer_fully(_question: Question) -> AsyncGenerator[Event, None]:
    """An answer with everything in it; tokens too short to be joined to."""
    yield Status(step=1, description="Looking", status="executing")
    yield Status(step=1, description="Looked", status="completed", elapsed_ms=7)
    yield Sources((Source(id="a#1", title="A", uri="a.md", score=0.5, snippet="words"),))
    for word in ("The ", "Louvre ", "é🗼\n"):
        yield Token(word)
    yield UsageEvent(Usage(input_tokens=3, output_tokens=4))


async def fail_midway(question: Question) -> AsyncGenerator[Event, None]:
    """One that fails in the middle."""
    yield Status(step=1, description="Looking", status="executing")
    yield Token(question.query)
    raise RiverrunError("No more.", code="provider_throttled", retryable=True, retry_after_ms=5)


def forbidden(*_any: object) -> Any:
    """Called: a model was paid."""
    raise AssertionError("a replay calls nothing")


def make_app(folder: Path, **settings: Any) -> App:
    """An installation on a file, whose provider and context must not be used."""
    return App(Settings(log=f"sqlite://{folder}/runs.sqlite", **settings))


async def log_of(app: App, run_id: str) -> tuple[Run, list[Entry]]:
    """A run and all that it said."""
    return await app.log.find(run_id, None), await app.log.read(run_id, 0, 10_000)


async def body(response: Response) -> bytes:
    """What a reader gets."""
    return b"".join([bytes(part) async for part in response.body_iterator])  # type: ignore[attr-defined]  # it streams


async def record(app: App, producer: Callable[..., Any], query: str, path: Path) -> str:
    """Ask once and keep the recording; the run's id."""
    response = await handle_streaming_request(
        {"query": query, "sessionId": "old", "metadata": {"a": "b"}},
        producer=producer,
        app=app,
    )
    await body(response)
    run, _ = await log_of(app, response.headers["x-run-id"])
    lines = [line async for line in record_lines(app.log, run)]
    path.write_bytes(b"".join(lines))  # noqa: ASYNC240 - a test may wait for a file
    return run.id


def strip_run(entries: list[Entry]) -> list[Any]:
    """The events without what belongs to one run alone."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if name not in OWN}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return [strip(from_json(entry.payload)) for entry in entries]


@pytest.mark.parametrize("producer", [answer_fully, fail_midway])
@pytest.mark.parametrize("speed", [0.0, 10.0])
async def test_a_replay_says_what_was_said(
    tmp_path: Path, producer: Callable[..., Any], speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Event by event, in a new run with its own id, session and metadata; also as JSON."""
    before = make_app(tmp_path)
    old = await record(before, producer, "What is there?", tmp_path / "one.ndjson")
    app = make_app(tmp_path, replay=tmp_path / "one.ndjson", replay_speed=speed)
    monkeypatch.setattr("services.streaming.answering.producer.answer_question", forbidden)
    data = {"query": " what IS there? ", "sessionId": "new", "metadata": {"c": "d"}}
    response = await handle_streaming_request(data, app=app)
    wire = await body(response)
    new, entries = await log_of(app, response.headers["x-run-id"])
    assert new.id != old
    assert strip_run(entries) == strip_run((await log_of(app, old))[1])
    assert old.encode() not in wire
    end = from_json(entries[-1].payload)
    if producer is answer_fully:
        assert end["result"]["sessionId"] == "new"
        assert end["result"]["metadata"] == {"c": "d"}
        assert end["result"]["runId"] == new.id
        stamps = [one["timestamp"] / 1000 for one in end["result"]["steps"]]
        assert all(stamp >= new.created - 0.01 for stamp in stamps)
    answer = await handle_request(data, app=app)
    assert answer.status_code == (200 if producer is answer_fully else 503)
    await before.log.close()
    await app.log.close()


async def test_a_replay_keeps_the_time() -> None:
    """As it was, ten times as fast, at once; from the middle on it begins at once."""
    entries = [
        Entry(n, "token", json.dumps({"type": "token", "text": str(n)}).encode()) for n in (1, 2, 3)
    ]
    recording = Recording(
        run_id="r",
        created=0.0,
        question={},
        entries=tuple(zip((1.0, 1.5, 4.0), entries, strict=True)),
    )
    earlier = Earlier()
    for speed, so_far, expected in (
        (1.0, "", [1.0, 1.5, 4.0]),
        (10.0, "", [0.1, 0.15, 0.4]),
        (1.0, "12", [2.5]),
        (0.0, "", []),
    ):
        waits: list[float] = []

        async def sleep(seconds: float, waits: list[float] = waits) -> None:
            waits.append(seconds)

        heard = []
        question = Question(query="x", so_far=so_far, earlier=earlier if so_far else None)
        with pytest.raises(RiverrunError, match="interrupted") as ended:  # noqa: PT012 - it ends so
            async for event in replay(question, [recording], speed, sleep=sleep):
                heard.append(event)  # noqa: PERF401 - it ends by raising
        assert ended.value.code == "interrupted"
        assert heard == [Token(str(n)) for n in (1, 2, 3)[len(so_far) :]]
        # No time passes here, so each is the time from the beginning.
        assert waits == pytest.approx(expected, abs=0.05)


def test_a_question_finds_its_recording() -> None:
    """The newest of the same words; the only one; or none, and it says so."""

    def one(query: str, created: float) -> Recording:
        return Recording(run_id="r", created=created, question={"query": query}, entries=())

    paris, tokyo = one("In Paris?", 2.0), one("in tokyo?", 3.0)
    recordings = [tokyo, paris, one("in  PARIS?", 1.0)]
    assert find_recording("in\nparis?", recordings) is paris
    assert find_recording("Anything", [tokyo]) is tokyo
    with pytest.raises(RiverrunError) as refused:
        find_recording("Anything", recordings)
    assert refused.value.code == "not_found"


def test_what_is_no_event_is_told_when_it_is_opened(tmp_path: Path) -> None:
    """Not when the first question comes."""
    header = b'{"recording":1,"run":"r","created":1000,"question":null}\n'
    for event in (b'{"type":"other"}', b'{"type":"status"}', b'{"type":"token"}'):
        path = tmp_path / "r.ndjson"
        path.write_bytes(header + b'{"seq":1,"at":1,"terminal":false,"event":%b}\n' % event)
        with pytest.raises(SetupError, match="Event 1"):
            _ = App(Settings(replay=path)).recordings
