"""Whole runs in the dialects of other ecosystems: golden bytes, and resuming anywhere."""

import json
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from services.runs import Entry
from services.settings import ROOT
from services.streaming import encoders
from services.streaming.encoders import MODULES, find_dialect, frames
from tests.event_stream import EventStreamParser
from tests.services.streaming.encoders.dialect_runs import (
    DIALECTS,
    NAMES,
    RUN_INFO,
    RUNS,
    encode,
    entries_of,
)

every_run = pytest.mark.parametrize("run", RUNS, ids=NAMES)
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def read(chunks: list[bytes]) -> list[dict[str, Any]]:
    """The objects of a stream, read as any client reads them; `[DONE]` left out."""
    events = EventStreamParser().feed(b"".join(chunks))
    return [json.loads(event.data) for event in events if event.data != "[DONE]"]


def text_of(dialect: str, objects: list[dict[str, Any]]) -> str:
    """The text that a client shows, the dropped one left out where the dialect can say so."""
    parts: dict[Any, list[str]] = {}
    for thing in objects:
        match dialect:
            case "openai_chat" if thing.get("choices"):
                delta = thing["choices"][0]["delta"].get("content", "")
                parts.setdefault(0, []).append(delta)
            case "openai_responses" if thing["type"] == "response.output_text.delta":
                parts.setdefault(thing["item_id"], []).append(thing["delta"])
            case "ai_sdk" if thing["type"] == "text-delta":
                parts.setdefault(thing["id"], []).append(thing["delta"])
            case "ag_ui" if thing["type"] == "TEXT_MESSAGE_CONTENT":
                parts.setdefault(thing["messageId"], []).append(thing["delta"])
    return "".join(list(parts.values())[-1]) if parts else ""


@every_dialect
@every_run
def test_a_run_has_the_bytes_of_the_corpus(dialect: str, run: dict[str, Any]) -> None:
    """Each entry its own, whole objects in every write."""
    assert [frame.decode() for frame in encode(dialect, run)] == run["bytes"][dialect]
    assert all(frame.endswith(b"\n\n") for frame in encode(dialect, run) if frame)
    assert b"\r" not in b"".join(encode(dialect, run))


@every_dialect
@every_run
def test_the_text_of_a_client_is_the_answer(dialect: str, run: dict[str, Any]) -> None:
    """Byte for byte, whatever was said before a reset."""
    last = run["events"][-1]["event"]
    wanted = last["result"]["answer"] if last["type"] == "final" else None
    shown = text_of(dialect, read(encode(dialect, run)))
    if wanted is not None:
        assert shown.rpartition("\n\n---\n\n")[2] == wanted
    if dialect != "openai_responses":
        return
    end = read(encode(dialect, run))[-1]["response"]
    outputs = [part["text"] for item in end["output"] for part in item["content"]]
    assert "".join(outputs) == shown


async def live(run: dict[str, Any]) -> AsyncGenerator[Entry | None, None]:
    for entry in entries_of(run):
        yield None
        yield entry


@every_dialect
@every_run
@pytest.mark.anyio
async def test_a_reader_who_resumes_anywhere_reads_the_same_bytes(
    dialect: str, run: dict[str, Any]
) -> None:
    """What follows the cursor, no more and no less; heartbeats are one line and no event."""
    spoken = find_dialect(dialect)
    whole = encode(dialect, run)
    for after in range(len(whole) + 1):
        async with aclosing(frames(live(run), spoken, RUN_INFO, after=after)) as chunks:
            said = [chunk async for chunk in chunks if chunk != spoken.silence]
        numbers = [entry.seq for entry in entries_of(run)]
        wanted = [
            frame for frame, seq in zip(whole, numbers, strict=True) if seq == 0 or seq > after
        ]
        assert b"".join(said) == b"".join(wanted)


@every_run
def test_responses_resume_after_any_number(run: dict[str, Any]) -> None:
    """`starting_after` is the last number that a client has; every frame behind it comes again."""
    whole = b"".join(encode("openai_responses", run)).split(b"\n\n")[:-1]
    numbers = [json.loads(frame.split(b"data: ", 1)[1])["sequence_number"] for frame in whole]
    assert numbers == list(range(len(whole)))
    for last in numbers:
        run_info = replace(RUN_INFO, options={"starting_after": last})
        rest = b"".join(encode("openai_responses", run, run_info)).split(b"\n\n")[:-1]
        assert rest == whole[last + 1 :]


@every_run
def test_nothing_is_open_when_an_ag_ui_run_finishes(run: dict[str, Any]) -> None:
    """Its client rejects a run whose steps or messages are open, and reads nothing after it."""
    opened: set[str] = set()
    objects = read(encode("ag_ui", run))
    assert objects[0]["type"] == "RUN_STARTED"
    for thing in objects[:-1]:
        name = thing.get("stepName") or thing.get("messageId", "")
        if thing["type"] in ("STEP_STARTED", "TEXT_MESSAGE_START"):
            assert name not in opened
            opened.add(name)
        elif thing["type"] in ("STEP_FINISHED", "TEXT_MESSAGE_END"):
            opened.remove(name)
        elif thing["type"] == "TEXT_MESSAGE_CONTENT":
            assert name in opened
    assert objects[-1]["type"] in ("RUN_FINISHED", "RUN_ERROR")
    assert opened == set()
    assert b"null" not in re.sub(rb'"(\\.|[^"])*"', b"", b"".join(encode("ag_ui", run)))


@every_run
def test_no_failure_looks_like_success(run: dict[str, Any]) -> None:
    """In no dialect, and no half answer either."""
    last = run["events"][-1]["event"]
    chat, responses, ui, agent = (read(encode(name, run))[-1] for name in DIALECTS)
    failed = last["type"] == "error"
    assert ("error" in chat) is failed
    assert (responses["type"] == "response.failed") is failed
    assert (ui["type"] == "error") is failed
    assert (agent["type"] == "RUN_ERROR") is failed
    done = b"".join(encode("openai_chat", run)).endswith(b"data: [DONE]\n\n")
    assert done is not failed
    assert b"[DONE]" not in b"".join(encode("ag_ui", run))


def test_the_example_of_the_manual_is_a_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of docs/adding-a-dialect.md, executed as it stands, with one line in the dict."""
    manual = (ROOT / "docs" / "adding-a-dialect.md").read_text()
    found = re.search(r"```python\n(.+?)```", manual, re.DOTALL)
    assert found is not None
    name = "services.streaming.encoders.lines_example"
    module = ModuleType(name)
    module.__package__ = "services.streaming.encoders"
    exec(compile(found[1], "docs/adding-a-dialect.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(encoders, "MODULES", {**MODULES, "lines": "lines_example"})
    said = {run["name"]: b"".join(encode("lines", run)) for run in RUNS}
    assert said["a stop"] == b'"So far"\nEND\n'
    assert said["a failure in the middle"] == b'"Half"\nFAILED\n'
