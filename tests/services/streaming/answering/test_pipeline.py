"""What the pipeline tells a provider of the time it has."""

import asyncio
import json
from typing import Any

import anyio
import numpy as np
import pytest

from services.chat.providers.script_file import parse_script
from services.chat.providers.scripted import ScriptedProvider
from services.passages import Passage, Sentence
from services.progress import Progress, Report, no_report
from services.settings import Settings
from services.streaming import App, handle_streaming_request
from services.streaming.answering.pipeline import _answer_deadline
from services.streaming.question import Question
from services.telemetry import RunRecord


@pytest.mark.anyio
async def test_a_provider_is_told_until_when() -> None:
    """By the loop's clock, a margin before the platform's end; None where there is no end."""
    assert _answer_deadline(Question(query="q")) is None
    until = _answer_deadline(Question(query="q", seconds_left=30.0))
    assert until is not None
    assert 27 < until - anyio.current_time() < 30


class ReportingLibrary:
    """A library that reports what it does, and finds nothing until it may."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.tasks = 0

    async def retrieve(
        self, *_question: Any, report: Report = no_report, **_known: Any
    ) -> tuple[Passage, ...]:
        report(Progress("Opening the shelf", 0.25))
        await self.may_go_on.wait()
        self.tasks = len(asyncio.all_tasks())
        return ()


@pytest.mark.anyio
async def test_a_report_reaches_the_reader_at_once_and_costs_no_task() -> None:
    """The producer's task and the run's are all that an answer takes beside its reader."""
    library = ReportingLibrary()
    before = len(asyncio.all_tasks())
    response: Any = await handle_streaming_request(
        {"query": "q"}, app=App(Settings(chat="extractive"), context=library)
    )
    said = []
    async for chunk in response.body_iterator:
        event = json.loads(chunk.partition(b"data: ")[2])
        said.append(event.get("status", {}).get("description"))
        if said[-1] == "Opening the shelf":
            assert event["status"]["progress"] == pytest.approx((1 + 0.25) / 3, abs=0.001)
            library.may_go_on.set()
    assert said.index("Searching the documents") < said.index("Opening the shelf")
    assert library.tasks == before + 2


class OnePassage:
    """A library of one passage, that can list its documents."""

    async def retrieve(self, *_question: Any, **_known: Any) -> tuple[Passage, ...]:
        text = "Sushi is eaten in Ginza."
        sentence = Sentence(text, 0.8, np.ones(2, np.float32) / np.sqrt(2))
        rarity = {"sushi": 0.5, "dentist": 1.0, "mayor": 1.0}
        return (Passage("1", "Tokyo › Eating", "tokyo.md", text, 0.8, 1.0, (sentence,), rarity),)

    async def list_documents(self) -> tuple[str, ...]:
        return ("Tokyo", "Kyoto")


async def read_events(question: str, **parts: Any) -> list[dict[str, Any]]:
    """Every event of an answer from the one passage."""
    app = App(Settings(chat="extractive"), context=OnePassage(), **parts)
    response: Any = await handle_streaming_request({"query": question, "streaming": True}, app=app)
    return [json.loads(chunk.partition(b"data: ")[2]) async for chunk in response.body_iterator]


async def ask(question: str) -> tuple[list[str], dict[str, Any]]:
    """The sources that were shown, and the result."""
    events = await read_events(question)
    shown = [one["id"] for event in events for one in event.get("sources", ())]
    return shown, events[-1]["result"]


@pytest.mark.anyio
async def test_nothing_stands_beside_a_refusal_or_small_talk() -> None:
    """A source is what an answer quotes, or might have."""
    shown, result = await ask("Where is sushi?")
    assert (shown, [one["cited"] for one in result["sources"]]) == (["1"], [True])
    for question in ("Who is the mayor, the dentist?", "Thanks!"):
        shown, result = await ask(question)
        assert (shown, result["sources"]) == ([], [])
        assert result["answer"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Where is sushi?", "Answer written"),
        ("Who is the mayor, the dentist?", "Found nothing in the documents that answers this"),
        ("Thanks!", "This is no question about the documents"),
    ],
)
async def test_the_last_step_says_what_was_written(question: str, said: str) -> None:
    """No answer, where it is a refusal."""
    *_, last = [event["status"] for event in await read_events(question) if "status" in event]
    assert (last["description"], last["status"]) == (said, "completed")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("In Ginza [1].", "Answer written"),
        ("I do not know.", "Answer written, without a citation"),
    ],
)
async def test_a_model_s_answer_that_cites_nothing_is_told_so(text: str, said: str) -> None:
    """Whether it is a refusal a model alone knows; that it stands on no passage is seen."""
    script = ScriptedProvider(parse_script([{"when": "*", "steps": [{"text": text}]}]))
    events = await read_events("Where is sushi?", chat=script)
    *_, last = [event["status"] for event in events if "status" in event]
    assert last["description"] == said


@pytest.mark.anyio
async def test_who_asks_what_this_is_hears_which_documents_there_are() -> None:
    """By their titles."""
    assert (await ask("What can you do?"))[1]["answer"].endswith("The documents: Tokyo, Kyoto.")


@pytest.mark.anyio
async def test_a_question_that_is_asked_again_is_no_earlier_one() -> None:
    """The answer to it that counts is the last, for the question itself and for the next."""
    app = App(Settings(chat="extractive", log="memory://"), context=OnePassage())
    said = []
    for question in ("Where is sushi?", "Where is sushi?", "And in winter?", "And in winter?"):
        asked = {"query": question, "streaming": True, "sessionId": "s"}
        response: Any = await handle_streaming_request(asked, app=app)
        events = [json.loads(one.partition(b"data: ")[2]) async for one in response.body_iterator]
        done = [
            event["status"]
            for event in events
            if "status" in event and event["status"]["step"] == 1
        ]
        said.append(done[-1]["description"])
    assert said[0] == said[1] != said[2] == said[3]


class NoLibrary:
    """A library that finds nothing."""

    async def retrieve(self, *_question: Any, **_known: Any) -> tuple[Passage, ...]:
        return ()


@pytest.mark.anyio
async def test_the_fourth_answer_says_how_long_it_takes_and_its_record_how_wrong_that_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three are too few to say anything: their records have no error, and theirs no `etaMs`."""
    app = App(Settings(chat="extractive"), context=NoLibrary())
    records: list[RunRecord] = []
    monkeypatch.setattr(app.reporter, "report_run", records.append)
    promised = []
    for _ in range(4):
        response: Any = await handle_streaming_request({"query": "q"}, app=app)
        said = [json.loads(chunk.partition(b"data: ")[2]) async for chunk in response.body_iterator]
        promised.append([event["status"].get("etaMs") for event in said if "status" in event])
    await app.live.wait_closed(30)
    assert [set(etas) for etas in promised[:3]] == [{None}] * 3
    # A step that takes longer than it did before says nothing; what is over says how long: 0.
    assert all(eta is None or eta >= 0 for eta in promised[3])
    assert promised[3][-1] == 0
    assert [record.eta_error_ms is None for record in records] == [True, True, True, False]
    assert all(record.loop_lag_ms is not None for record in records)
