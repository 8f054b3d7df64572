"""The same three answers over three hosts: each says what `tests/corpus/hosts.json` says.

`RIVERRUN_WRITE_TRANSCRIPTS=1` writes that file from the ASGI server, for a person to read.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from services.settings import ROOT
from services.streaming.run.resume import RESUMED_DESCRIPTION
from tests.functions.hosts import Host, check_whole, make_script, serve_on
from tests.functions.reading_on import Answer, go_on, read_body, read_on

log = logging.getLogger(__name__)

GOLDEN = ROOT / "tests" / "corpus" / "hosts.json"
# A response has `LIMIT` seconds. The long answer takes longer, by pauses that are well below it.
LIMIT = 8
PAUSED_WORDS = [step for n in range(1, 5) for step in ({"waitMs": 2500}, {"text": f"{n} "})]
SCRIPT = [
    {"when": "short", "steps": [{"text": "One "}, {"text": "word."}]},
    {"when": "long", "steps": [{"text": "0 "}, *PAUSED_WORDS]},
]
# What another machine, another run or another try would say otherwise.
VOLATILE = frozenset(
    {"elapsedMs", "etaMs", "executionTimeMs", "progress", "runId", "score", "sessionId"}
    | {"timestamp", "cursor", "retryAfterMs", "description", "data"}
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "hosts", [("function", "web", "server"), ("hypercorn",)], ids=["ours", "hypercorn"]
)
def test_three_answers_are_the_same_on_each_host(
    tmp_path: Path, index: Path, hosts: tuple[Host, ...]
) -> None:
    """One that fits; one that does not, read on; the same by a reader that does not know how.

    Hosts side by side: what each waits for is the clock.
    """
    folders = [tmp_path / host for host in hosts]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(len(hosts)) as pool:
        transcripts = list(pool.map(hear, folders, [index] * len(hosts), hosts))
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for host, told in zip(hosts, transcripts, strict=True):
        if os.environ.get("RIVERRUN_WRITE_TRANSCRIPTS") and host == "server":
            write_golden(told)
            golden = told
        assert told == golden, host


def hear(folder: Path, index: Path, host: Host) -> dict[str, list[dict[str, Any]]]:
    """What each of the three answers says on a host."""
    answers = {name: Answer() for name in ("short", "long", "long without resume")}
    # The host's own cut is far behind: how late a busy machine is decides nothing here.
    with serve_on(host, folder, index, SCRIPT, limit=LIMIT, patience=10) as url:
        read_on(url, "short")  # what is loaded once may take longer than a response
        if host != "function":  # whose one function has no such path
            with urlopen(f"{url}/api/health") as health:
                kind = json.load(health)["host"]
            assert kind == ("web-function" if host == "web" else "server")
        asked = [threading.Thread(target=ask, args=(url, *one)) for one in answers.items()]
        for one in asked:
            one.start()
        for one in asked:
            one.join()
    for answer in answers.values():
        assert all(body.whole for body in answer.bodies)
        for body in answer.bodies[:-1]:
            assert body.paused is not None
    assert len(answers["short"].bodies) == 1
    assert len(answers["long"].bodies) > 1
    told = {name: make_transcript(answer) for name, answer in answers.items()}
    # Where it is cut, the moment decides: after a beginning of the long one, whose end it has not.
    *before, said, last = told.pop("long without resume")
    # It is left out where a busy machine does not read it in 0.15 s.
    partial = answers["long without resume"].unkept[-1].get("partial")
    assert partial is None or partial["answer"] == said["text"]
    *expected, whole, _, _ = told["long"]
    assert before == expected
    assert whole["text"].startswith(said["text"])
    told["cut"] = [last]
    return told


@pytest.mark.soak
def test_three_minutes_through_web_functions_of_ten_seconds(tmp_path: Path, index: Path) -> None:
    """The run goes on in the process; its reader comes back for each of its bodies."""
    with serve_on("web", tmp_path, index, make_script(1800, 100), limit=10) as url:
        answer = read_on(url, "long", limit=400)
    check_whole(answer, 1800)
    log.info(
        "%.0f s, %d bodies, %d events; longest silence %.2f s, longest body %.2f s",
        answer.gaps[-1] - answer.gaps[0],
        len(answer.bodies),
        len(answer.events),
        max(after - before for before, after in pairwise(answer.gaps)),
        max(body.seconds for body in answer.bodies),
    )
    assert len(answer.bodies) >= 18
    assert all(body.whole for body in answer.bodies)


def ask(url: str, name: str, answer: Answer) -> None:
    """Ask for an answer by its name, and read it as far as its reader knows how."""
    query, _, without = name.partition(" ")
    asked = {"query": query, "streaming": True, "resume": not without}
    read_body(answer, url, "POST", "/api/chat", json.dumps(asked).encode())
    if not without:
        go_on(answer, url, 120)


def make_transcript(answer: Answer) -> list[dict[str, Any]]:
    """What an answer said, less ids and times; tokens as one, each status by its first mention.

    A host that ends the run with its response says once more for each that it goes on.
    """
    told: list[dict[str, Any]] = []
    for event in (*answer.events, *answer.unkept):
        if event["type"] == "status" and event["status"]["description"] == RESUMED_DESCRIPTION:
            continue
        kept = strip(event)
        if kept["type"] == "token" and told[-1]["type"] == "token":
            told[-1]["text"] += kept["text"]
        elif kept["type"] != "status" or kept not in told:
            told.append(kept)
    if answer.unkept:
        told[-1].pop("partial", None)  # as much as was said, which is looked at apart
    else:
        answer.check()
    return told


def write_golden(told: dict[str, list[dict[str, Any]]]) -> None:
    """An event a line."""
    answers = (
        f"{json.dumps(name)}: [\n  " + ",\n  ".join(map(json.dumps, events)) + "\n ]"
        for name, events in told.items()
    )
    GOLDEN.write_text("{\n " + ",\n ".join(answers) + "\n}\n", encoding="utf-8")


def strip(value: Any) -> Any:
    """A part of an event without what is volatile."""
    if isinstance(value, Mapping):
        return {name: strip(part) for name, part in value.items() if name not in VOLATILE}
    return [strip(part) for part in value] if isinstance(value, list) else value
