"""docs/your-own-function.md, step by step, as it stands."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from services.context import open_context
from services.settings import ROOT, Settings
from services.streaming import App, set_default_app
from tests.emulator.support import ask, run_cloud
from tests.emulator.test_invoke_api import wait_for
from tests.functions.serving import link_functions

MANUAL = (ROOT / "docs" / "your-own-function.md").read_text("utf-8")
STEPS = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
STANZA = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)[0]


@pytest.fixture
def clean_app() -> Any:
    """An app of its own for a step, with its log in memory."""
    settings = Settings(log="memory://")
    with closing(open_context(settings)) as library:
        set_default_app(App(settings, context=library))
        yield
        set_default_app(None)


@pytest.mark.usefixtures("clean_app")
@pytest.mark.parametrize(
    ("number", "path", "query", "said"),
    [
        (0, "/echo", "one two", '"answer":"one two "'),
        (1, "/count", "one two three", '"answer":"3 words [1]."'),
        (2, "/find", "What is there to see in Paris?", "- Paris"),
        (3, "/summary", "What are the best attractions in Paris?", "Eiffel Tower"),
        (4, "/numbers", "please", '"answer":"1 2 3 4 5 6 7 8 9 10 "'),
    ],
)
def test_a_step_is_a_whole_endpoint(number: int, path: str, query: str, said: str) -> None:
    """It streams, answers as JSON, is read again from its cursor, and knows its runs."""
    names: dict[str, Any] = {}
    exec(STEPS[number], names)
    with TestClient(names["app"]) as client:
        streamed = client.post(f"/api{path}", json={"query": query, "streaming": True})
        assert said in streamed.text
        assert '"type":"final"' in streamed.text
        run = streamed.headers["x-run-id"]
        assert said[-9:].strip('"') in client.post(f"/api{path}", json={"query": query}).text
        assert client.get(f"/api{path}", params={"query": query}).status_code == 200
        again = client.get(f"/api{path}", headers={"Last-Event-ID": f"{run}-1"})
        assert streamed.text.endswith(again.text)
        assert client.get(f"/api{path}/runs/{run}").json()["state"] == "completed"
        assert client.get(f"/api{path}/runs/{run}/events?after=1").text == again.text
        assert client.post(f"/api{path}/runs/{run}/stop", json={}).status_code == 202
        assert client.get(f"/api{path}/health").json()["status"] == "ok"


def test_a_file_and_its_stanza_are_served_by_a_running_emulator(tmp_path: Path) -> None:
    """Beside the functions that are there, at both addresses, as soon as they are saved."""
    for name in ("services", "knowledge", "bootstrap"):
        (tmp_path / name).symlink_to(ROOT / name)
    functions = link_functions(tmp_path)
    template = tmp_path / "template.yaml"
    template.write_bytes((ROOT / "template.yaml").read_bytes())
    with run_cloud(template, watch=True) as cloud:
        assert ask(f"{cloud.url('netlify')}/api/echo?query=one").status == 404
        (functions / "echo.py").write_text(STEPS[5])
        text = template.read_text("utf-8")
        template.write_text(text.replace("\nResources:\n", f"\nResources:\n{STANZA}\n", 1))
        wait_for(lambda: bool(cloud.log_lines("echo is on")), 120)
        for address in ("/api/echo", "/.netlify/functions/echo"):
            got = ask(f"{cloud.url('netlify')}{address}?query=one+two&streaming=true")
            assert b'"answer":"one two "' in got.body
