"""A process that is killed in mid-answer, under the emulator's functions and its Web Function.

Nothing looks like success that is not, and a client that reads on has the rest from another
process: whichever published client it is.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from services.settings import ROOT
from tests.ecosystems.node import run_node_test
from tests.emulator.support import RunningCloud, run_cloud

HALF = [{"when": "*", "steps": [{"text": "Half "}, {"hang": True}]}]
WHOLE = [{"when": "*", "steps": [{"text": "Half "}, {"text": "and whole [1]."}]}]


@dataclass
class Victim:
    """A cloud whose processes read a script when they start: half an answer, then a whole one."""

    cloud: RunningCloud
    script: Path
    next_script: Path

    def arm(self) -> None:
        """Let the next process say half of an answer and hang, and the one after it all."""
        self.next_script.write_text(json.dumps(WHOLE))
        self.script.write_text(json.dumps(HALF))
        self.kill()

    def kill(self) -> None:
        """Kill every process without a word, and wait until they are gone."""
        functions = list(self.cloud.cloud.processes.values())
        processes = [sandbox for function in functions for sandbox in function.sandboxes]
        until = time.monotonic() + 60
        while any(process.alive for process in processes):
            assert time.monotonic() < until, "they live on"
            for function in functions:
                self.cloud.call(function.kill)  # again: one may just have been starting
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """Where the product is."""
        return self.cloud.url("netlify")


@pytest.fixture(scope="module", params=["functions", "web"])
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Victim]:
    """The whole product on one host of the emulator."""
    home = tmp_path_factory.mktemp("killed")
    script = home / "script.json"
    script.write_text(json.dumps(HALF))
    environ = {
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_LOG": f"sqlite://{home}/runs.sqlite",
    }
    template = ROOT / "template.yaml"
    plan: dict[str, Any] = {"parameters": {"Host": request.param}, "options": {"init_limit": 60}}
    with run_cloud(template, environ=environ, **plan) as running:
        yield Victim(running, script, home / "next.json")


@pytest.fixture
def victim(cloud: Victim) -> Victim:
    """The cloud, its processes about to be killed."""
    cloud.arm()
    return cloud


@pytest.mark.node
def test_no_client_takes_half_of_an_answer_for_the_whole_and_those_that_read_on_have_it(
    victim: Victim,
) -> None:
    """OpenAI's library, the AI SDK in three majors and in a page, AG-UI in two versions."""
    more = {
        "RIVERRUN_SCRIPT": str(victim.script),
        "RIVERRUN_NEXT_SCRIPT": str(victim.next_script),
        "RIVERRUN_KILL": f"{victim.cloud.url('invoke')}/emulator/functions/{name_of(victim)}/kill",
    }
    run_node_test(victim.url, "killed.short.mjs", **more)


def test_openai_s_python_library_raises_and_reads_a_response_on(victim: Victim) -> None:
    """A chat completion has no way to go on; a response has its numbers."""
    base = f"{victim.url}/v1"
    with openai.OpenAI(base_url=base, api_key="none", timeout=60) as client:
        chunks = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Say it."}], stream=True
        )
        first = next(chunk for chunk in chunks if chunk.choices[0].delta.content)
        events = client.responses.create(model="m", input="Say it.", stream=True)
        seen = [next(events)]
        while seen[-1].type != "response.output_text.delta":
            seen.append(next(events))
        victim.next_script.rename(victim.script)
        victim.kill()
        for cut in (chunks, events):
            with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
                list(cut)
        created: Any = seen[0]
        after = seen[-1].sequence_number
        rest: Any = list(
            client.responses.retrieve(created.response.id, stream=True, starting_after=after)
        )
        assert [event.sequence_number for event in rest] == [
            after + 1 + index for index in range(len(rest))
        ]
        assert rest[-1].type == "response.completed"
        assert rest[-1].response.output_text == "Half and whole [1]."
        # A chat completion is the same kind of run, and can be read as a response.
        run = first.id.removeprefix("chatcmpl-")
        *_, last = client.responses.retrieve(f"resp_{run}", stream=True)
        assert last.type == "response.completed"


def name_of(victim: Victim) -> str:
    """The function that speaks the dialects."""
    running = victim.cloud.cloud
    return "dialects" if "dialects" in running.functions else next(iter(running.endpoints))
