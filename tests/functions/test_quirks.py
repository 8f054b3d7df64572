"""What compatible services sent, over the emulator: the code, the calls paid, what a session keeps.

The cases and their bytes are those of `tests/services/chat/providers`; here each is a question
of its own, through a front, the Runtime API, a function process and a log on disk.
"""

import asyncio
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fakes import openai
from fakes.steps import Call, Reply
from services.runs.opening import open_log
from services.settings import ROOT, Settings
from tests.emulator.support import RunningCloud, ask, run_cloud
from tests.services.chat.providers.quirks import Quirk
from tests.services.chat.providers.quirks_of_answers import ENDS, KEEP_ALIVES, THOUGHTS
from tests.services.chat.providers.quirks_of_refusals import ERRORS, PARAMETERS, SMALL, USAGE

# What a process remembers changes what comes after: a thought without its opening tag, a refused
# parameter, a model that asks to be left alone. These stand last.
LASTING = ("no opening tag", "no opening tag, in parts", "max_tokens", "no system prompt",
           "Retry-After of a minute")  # fmt: skip

EVERY = [*ENDS, *KEEP_ALIVES, *USAGE, *SMALL, *THOUGHTS, *ERRORS, *PARAMETERS]


def choose(cases: list[Quirk]) -> list[Quirk]:
    """The cases in an order that one process can live through.

    Between two that fail and may pass stands one that does not: a model that failed five times in
    a row is left alone. Questions that are too long stand first: a model that was seen to think is
    asked once more without room for it.
    """
    lasting = [case for name in LASTING for case in cases if case.name == name]
    usual = [case for case in cases if case not in lasting and case not in PARAMETERS]
    long = [case for case in usual if case.code == "context_too_long"]
    good = [case for case in usual if not case.code]
    bad = [case for case in usual if case.code and case not in long]
    mixed = [case for pair in zip(bad, good, strict=False) for case in pair]
    return [*long, *mixed, *good[len(bad) :], *bad[len(good) :], *lasting]


class Endpoint:
    """Answers each question by its case, which stands in the question, and counts the calls."""

    def __init__(self, cases: list[Quirk]) -> None:
        self.cases = cases
        self.calls: Counter[int] = Counter()

    def answer(self, call: Call) -> Reply:
        """Reply as the case does."""
        number = int(re.findall(r"case (\d+)", json.dumps(call.body["messages"]))[-1])
        self.calls[number] += 1
        return self.cases[number].answer(call)


def ask_case(cloud: RunningCloud, number: int) -> list[dict[str, Any]]:
    """The events of one question, in a new session."""
    query = {"query": f"What is case {number}?", "streaming": True, "sessionId": ""}
    got = ask(
        cloud.url("netlify") + "/api/chat",
        method="POST",
        headers=[("Content-Type", "application/json")],
        body=json.dumps(query).encode(),
    )
    lines = [line[6:] for line in got.body.decode().split("\n") if line.startswith("data: ")]
    assert lines, got
    return [json.loads(line) for line in lines]


def show(events: list[dict[str, Any]]) -> str:
    """The text that a reader has in the end."""
    text = ""
    for event in events:
        if event["type"] == "reset":
            text = ""
        elif event["type"] == "token":
            text += event["text"]
    return text


def check_case(case: Quirk, events: list[dict[str, Any]]) -> None:
    """The end that the reader saw, and the text before it."""
    last = events[-1]
    assert last.get("code", "") == case.code, (case.name, last)
    assert show(events) == case.text, case.name
    if case.code:
        assert last.get("partial", {}).get("answer", "") in (case.text, ""), case.name
    else:
        assert last["result"]["finishReason"] == case.reason, case.name
        assert last["result"]["answer"] == case.text, case.name
    assert "sk-" not in json.dumps(events)


@pytest.fixture(params=["some", pytest.param("all", marks=pytest.mark.soak)])
def cases(request: pytest.FixtureRequest) -> list[Quirk]:
    """Every eighth case and those that last, or all of them."""
    chosen = choose(EVERY)
    if request.param == "all":
        return chosen
    quick = [case for case in chosen if case.calls < 3 and case.name not in LASTING]
    return choose([*quick[::8], *(case for case in chosen if case.name in LASTING)])


@pytest.fixture
def endpoint(cases: list[Quirk]) -> Iterator[tuple[Endpoint, str]]:
    """The endpoint and its address."""
    made = Endpoint(cases)
    with openai.openai() as fake:
        fake.play_by(made.answer)
        yield made, f"{fake.url}/v1"


def test_quirks_over_the_emulator(
    endpoint: tuple[Endpoint, str], index: Path, tmp_path: Path
) -> None:
    """No half answer is taken for a whole one, kept in a session, paid thrice or unexplained."""
    model, url = endpoint
    log = f"sqlite://{tmp_path}/runs.sqlite"
    environ = {
        "OPENAI_BASE_URL": url,
        "RIVERRUN_CHAT": "openai",
        "RIVERRUN_CHAT_MODEL": "tiny",
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_LOG": log,
    }
    sessions: dict[str, str] = {}
    with run_cloud(ROOT / "template.yaml", environ=environ) as cloud:
        for number, case in enumerate(model.cases):
            events = ask_case(cloud, number)
            check_case(case, events)
            assert model.calls[number] == case.calls, case.name
            if not case.code:
                sessions[events[-1]["result"]["sessionId"]] = case.text
        lines = "\n".join(cloud.lines)
    for case in model.cases:
        assert case.log in lines, case.name
    kept = asyncio.run(read_sessions(log, list(sessions)))
    assert kept == list(sessions.values())
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as file:
        # Of those that failed nothing is kept, in whatever session they were.
        assert file.execute("SELECT count(*) FROM turns").fetchone() == (len(sessions),)


async def read_sessions(log: str, sessions: list[str]) -> list[str]:
    """What each session keeps of its answer."""
    opened = open_log(Settings(log=log))
    turns = [await opened.read_turns(None, session, 6) for session in sessions]
    return ["".join(answer for _, answer in turn) for turn in turns]
