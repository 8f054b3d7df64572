"""The product on each host: an event function, a Web Function, an ASGI server.

The first two are a cloud of one resource, with a script for a model and a log in a file.
"""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from services.settings import ROOT
from tests.emulator.support import RunningCloud, run_cloud
from tests.functions.reading_on import Answer
from tests.functions.serving import clean, run_server

Host = Literal["function", "web", "server", "hypercorn"]

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
    if host in ("web", "hypercorn"):
        said = {"RIVERRUN_WEB_TIMEOUT": str(limit)}
    elif host == "server":
        said = {"RIVERRUN_RESPONSE_SECONDS": str(limit)}
    if host == "hypercorn":
        with run_hypercorn(make_environ(folder, index, script) | said) as url:
            yield url
        return
    if host == "server":
        with run_server({**make_environ(folder, index, script), **said, "PORT": "0"}) as server:
            yield server.url
        return
    timeout = limit * patience
    with run_host(host, folder, index, script, timeout=timeout, environ=said) as started:
        yield started.url(FRONTS[host])


# hypercorn's own modules, behind ours: what both have is the product's.
_HYPERCORN = (
    "import sys; sys.path.append(sys.argv.pop(1)); from hypercorn.__main__ import main; main()"
)
_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


def find_hypercorn() -> Path | None:
    """The folder of modules that has hypercorn, beside the applications of others."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    modules = ROOT / ".oracles" / "apps" / "lib" / version / "site-packages"
    return modules if (modules / "hypercorn").exists() else None


@contextmanager
def run_hypercorn(environ: dict[str, str]) -> Iterator[str]:
    """The address of `main:app` under hypercorn, an ASGI server of another make."""
    modules = find_hypercorn()
    if modules is None:
        pytest.skip("hypercorn is not in .oracles; tests/oracles/install puts it there")
    command = [sys.executable, "-c", _HYPERCORN, str(modules), "main:app", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        found = None
        for line in process.stdout:
            lines.append(line)
            if found := _RUNNING.search(line):
                break
        reader = threading.Thread(target=list, args=(process.stdout,))
        reader.start()
        try:
            assert found is not None, "".join(lines)
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()
                reader.join()


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
