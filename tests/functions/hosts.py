"""The product on each host: an event function, a Web Function, an ASGI server.

The first two are a cloud of one resource, with a script for a model and a log in a file.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from services.settings import ROOT
from tests.emulator.support import RunningCloud, run_cloud
from tests.functions.reading_on import Answer
from tests.functions.serving import run_server

Host = Literal["function", "web", "server"]

RESOURCES: dict[Host, str] = {
    "function": """
  chat:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: chat
      Handler: functions.chat.handler
      CodeUri: {root}
      Timeout: {timeout}
      FunctionUrlConfig: {{AuthType: NONE, InvokeMode: RESPONSE_STREAM}}
      Environment:
        Variables:
          AWS_LAMBDA_EXEC_WRAPPER: /var/task/bootstrap
          RIVERRUN_INVOKE_MODE: response_stream
""",
    "web": """
  web:
    Type: AWS::Serverless::WebFunction
    Properties:
      FunctionName: web
      Runtime: python3.14
      CodeUri: {root}
      AuthType: ApplicationManaged
      Timeout: {timeout}
      MaxConcurrencyPerEnvironment: 128
      EnvironmentVariables: {{RIVERRUN_WEB_TIMEOUT: '{timeout}', RIVERRUN_WEB_MARGIN: '1'}}
""",
}
FRONTS: dict[Host, str] = {"function": "url chat", "web": "web web"}


def make_environ(folder: Path, index: Path, script: list[Any]) -> dict[str, str]:
    """The settings of a host that plays `script` and keeps its runs in `folder`."""
    (folder / "script.json").write_text(json.dumps(script))
    return {
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(folder / "script.json"),
        "RIVERRUN_LOG": f"sqlite://{folder}/runs.sqlite",
    }


@contextmanager
def run_host(
    host: Host, folder: Path, index: Path, script: list[Any], *, timeout: int, **more: Any
) -> Iterator[RunningCloud]:
    """A cloud with the one host, which gives a request `timeout` seconds."""
    template = folder / f"{host}.yaml"
    resource = RESOURCES[host].format(root=ROOT, timeout=timeout)
    template.write_text(f"Resources:{resource}")
    environ = make_environ(folder, index, script) | more.pop("environ", {})
    with run_cloud(template, environ=environ, **more) as started:
        yield started


@contextmanager
def serve_on(
    host: Host, folder: Path, index: Path, script: list[Any], *, limit: int, patience: int = 1
) -> Iterator[str]:
    """The address of the product on one host, which believes to have `limit` seconds a response.

    The host cuts after `patience` times as long; 1 is the truth of a deployment.
    """
    said = {"RIVERRUN_DEADLINE": str(limit)}  # of an event function, which is told otherwise
    if host == "web":
        said = {"RIVERRUN_WEB_TIMEOUT": str(limit)}
    elif host == "server":
        said = {"RIVERRUN_RESPONSE_SECONDS": str(limit)}
    if host == "server":
        with run_server({**make_environ(folder, index, script), **said, "PORT": "0"}) as server:
            yield server.url
        return
    timeout = limit * patience
    with run_host(host, folder, index, script, timeout=timeout, environ=said) as started:
        yield started.url(FRONTS[host])


def make_script(words: int, pause_ms: int) -> list[Any]:
    """A script that says numbers, with a pause before each, and what it cost."""
    steps: list[Any] = []
    for number in range(words):
        steps += [{"waitMs": pause_ms}, {"text": f"{number} "}]
    steps += [{"usage": {"inputTokens": 10, "outputTokens": words}}]
    return [{"when": "*", "steps": steps}]


def check_whole(answer: Answer, words: int) -> None:
    """One answer of `make_script`, said once, in one stream with one end."""
    answer.check()
    assert answer.last["type"] == "final"
    result = answer.last["result"]
    assert result["answer"] == answer.text == "".join(f"{number} " for number in range(words))
    kinds = [event["type"] for event in answer.events]
    assert kinds.count("sources") == 1
    assert result["usage"]["outputTokens"] == words
