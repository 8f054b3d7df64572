"""A process that is killed in mid-answer, as a function of the emulator and as a Web Function.

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
from tests.ecosystems.node import NODE, run_node_test
from tests.emulator.support import RunningCloud, run_cloud

HALF = [{"when": "*", "steps": [{"text": "Half "}, {"hang": True}]}]
WHOLE = [{"when": "*", "steps": [{"text": "Half "}, {"text": "and whole [1]."}]}]
ANSWER = "Half and whole [1]."

HOSTS = {
    "function": """
      Type: AWS::Serverless::Function
      Properties:
        FunctionName: dialects
        Handler: functions.web.handler
        CodeUri: {root}
        Timeout: 300
        FunctionUrlConfig: {{AuthType: NONE, InvokeMode: RESPONSE_STREAM}}
        Environment:
          Variables:
            AWS_LAMBDA_EXEC_WRAPPER: /var/task/bootstrap
            RIVERRUN_INVOKE_MODE: response_stream
""",
    "web": """
      Type: AWS::Serverless::WebFunction
      Properties:
        FunctionName: dialects
        Runtime: python3.14
        CodeUri: {root}
        AuthType: ApplicationManaged
        Timeout: 300
        EnvironmentVariables: {{RIVERRUN_WEB_TIMEOUT: '300'}}
""",
}


@dataclass
class Victim:
    """A cloud of one function; its first process says half of an answer, the next all of it."""

    cloud: RunningCloud
    url: str
    script: Path
    next_script: Path

    def kill(self) -> None:
        """Kill the process without a word, and wait until it is gone."""
        function = self.cloud.cloud.processes["dialects"]
        processes = list(function.sandboxes)
        self.next_script.rename(self.script)
        self.cloud.call(function.kill)
        until = time.monotonic() + 60
        while any(process.alive for process in processes):
            assert time.monotonic() < until, "it lives on"
            time.sleep(0.02)

    def kill_amid_node_s_clients(self) -> None:
        """Let Node's clients begin too, kill, and let them go on."""
        more = {
            "RIVERRUN_SCRIPT": str(self.script),
            "RIVERRUN_NEXT_SCRIPT": str(self.next_script),
            "RIVERRUN_KILL": f"{self.cloud.url('invoke')}/emulator/functions/dialects/kill",
        }
        run_node_test(self.url, "killed.short.mjs", **more)


@pytest.fixture(params=HOSTS)
def victim(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Victim]:
    """Every dialect in one function."""
    template, script = tmp_path / "template.yaml", tmp_path / "script.json"
    template.write_text(f"Resources:\n    dialects:{HOSTS[request.param].format(root=ROOT)}")
    script.write_text(json.dumps(HALF))
    (tmp_path / "next.json").write_text(json.dumps(WHOLE))
    environ = {
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_LOG": f"sqlite://{tmp_path}/runs.sqlite",
    }
    with run_cloud(template, environ=environ, options={"init_limit": 60}) as cloud:
        front = "web dialects" if request.param == "web" else "url dialects"
        yield Victim(cloud, cloud.url(front), script, tmp_path / "next.json")


@pytest.mark.slow
def test_no_client_takes_half_of_an_answer_for_the_whole_and_those_that_read_on_have_it(
    victim: Victim,
) -> None:
    """OpenAI's Python library here; in `killed.short.mjs` Node's, the AI SDK and AG-UI."""
    with openai.OpenAI(base_url=f"{victim.url}/v1", api_key="none", timeout=120) as client:
        chunks = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Say it."}], stream=True
        )
        chunk = next(chunk for chunk in chunks if chunk.choices[0].delta.content)
        events = client.responses.create(model="m", input="Say it.", stream=True)
        seen: list[Any] = [next(events)]
        while seen[-1].type != "response.output_text.delta":
            seen.append(next(events))
        if NODE.exists():
            victim.kill_amid_node_s_clients()
        else:
            victim.kill()
        for cut in (chunks, events):
            with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
                list(cut)
        after = seen[-1].sequence_number
        rest: Any = list(
            client.responses.retrieve(seen[0].response.id, stream=True, starting_after=after)
        )
        assert [event.sequence_number for event in rest] == [
            after + 1 + index for index in range(len(rest))
        ]
        assert (rest[-1].type, rest[-1].response.output_text) == ("response.completed", ANSWER)
        # A chat completion is the same kind of run, and can be read as a response.
        run = chunk.id.removeprefix("chatcmpl-")
        *_, last = client.responses.retrieve(f"resp_{run}", stream=True)
        assert last.type == "response.completed"
