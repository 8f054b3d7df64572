"""The same three answers over three hosts: nothing ends silently on any."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.settings import ROOT
from tests.emulator.support import run_cloud
from tests.functions.reading_on import Answer, read_body, read_on
from tests.functions.serving import run_server
from tests.functions.test_survival import FUNCTION, check_whole, make_script

pytestmark = pytest.mark.slow

WORDS = 50
WEB = """
  web:
    Type: AWS::Serverless::WebFunction
    Properties:
      FunctionName: web
      Runtime: python3.14
      CodeUri: {root}
      AuthType: ApplicationManaged
      Timeout: {timeout}
      EnvironmentVariables: {{RIVERRUN_WEB_TIMEOUT: '{timeout}', RIVERRUN_WEB_MARGIN: '1'}}
"""


@contextmanager
def serve_on(host: str, folder: Path, index: Path, timeout: int, words: int) -> Iterator[str]:
    """The product on one host, which gives a response `timeout` seconds."""
    script = [{**make_script(3, 1)[0], "when": "short"}, *make_script(words, 100)]
    (folder / "script.json").write_text(json.dumps(script))
    environ = {
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(folder / "script.json"),
        "RIVERRUN_LOG": f"sqlite://{folder}/runs.sqlite",
    }
    if host == "server":
        with run_server(
            {**environ, "PORT": "0", "RIVERRUN_RESPONSE_SECONDS": str(timeout)}
        ) as server:
            yield server.url
        return
    template = folder / "template.yaml"
    resource = WEB if host == "web" else FUNCTION
    text = resource.format(name="chat", root=ROOT, timeout=timeout)
    template.write_text(f"Resources:{text}")
    with run_cloud(template, environ=environ) as started:
        yield started.url("url chat" if host == "function" else "web web")


@pytest.mark.parametrize("host", ["function", "web", "server"])
def test_three_answers_are_the_same_on_each_host(tmp_path: Path, index: Path, host: str) -> None:
    """One that fits; one that does not, read on; the same by a reader that does not know how."""
    with serve_on(host, tmp_path, index, 4, WORDS) as url:
        read_on(url, "short")  # what is loaded once may take longer than a response
        short = read_on(url, "short")
        check_whole(short, 3)
        long = read_on(url, "long")
        check_whole(long, WORDS)
        assert all(body.whole for body in long.bodies)
        assert len(long.bodies) > 1
        assert kinds(short.events) == kinds(long.events)
        cut = Answer()
        asked = json.dumps({"query": "long", "streaming": True}).encode()
        body = read_body(cut, url, "POST", "/api/chat", asked)
    assert body.whole
    last = [*cut.events, *cut.unkept][-1]
    assert (last["type"], last["code"]) == ("error", "deadline")
    assert last["partial"]["answer"] == cut.text != ""


@pytest.mark.soak
def test_three_minutes_through_web_functions_of_ten_seconds(tmp_path: Path, index: Path) -> None:
    """The run goes on in the process; its reader comes back for each of its bodies."""
    with serve_on("web", tmp_path, index, 10, 1800) as url:
        answer = read_on(url, "long", limit=400)
    check_whole(answer, 1800)
    assert len(answer.bodies) >= 18
    assert all(body.whole for body in answer.bodies)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The types of the events by their first: a run that is taken over says a status more."""
    return list(dict.fromkeys(event["type"] for event in events))
