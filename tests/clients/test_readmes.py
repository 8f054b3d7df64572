"""The first lines that each client's README shows are run as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.netlify.visits import answers
from tests.netlify.wire import final, serve, sources, status, token

CLIENTS = ROOT / "clients"
EVENTS = (
    status(1, "executing", "Searching"),
    sources("Paris"),
    token("The tower [1]."),
    final("The tower [1].", runId="run", steps=[], toolsUsed=[], executionTimeMs=1, metadata={}),
)


def _snippets(client: str, language: str) -> list[str]:
    text = (CLIENTS / client / "README.md").read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _run(command: list[str], cwd: Path, **environ: str) -> str:
    environment = os.environ | environ
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.node
@pytest.mark.parametrize("number", [0, 1])
def test_the_first_lines_of_the_javascript_client_run_in_node(number: int, tmp_path: Path) -> None:
    """In a project beside the clone."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not on the PATH")
    (tmp_path / "node_modules" / "@riverrun").mkdir(parents=True)
    (tmp_path / "node_modules" / "@riverrun" / "client").symlink_to(CLIENTS / "javascript")
    with serve(answers(*EVENTS)) as server:
        code = _snippets("javascript", "js")[number].replace("http://localhost:8888", server.url)
        (tmp_path / "ask.mjs").write_text(code)
        assert "The tower [1]." in _run([node, "ask.mjs"], tmp_path)
        assert server.questions()[0].body["query"] == "What is there to see in Paris?"


# What the page around a snippet has; and, for a test, an endpoint and the dots that it leaves out.
AROUND = """
const written = [], [question, query] = ["What is there to see in Paris?", "Paris?"];
const show = (shown) => written.push(shown?.text ?? shown);
const [write, cite, explain, button] = [show, () => {}, console.error, {}];
const endpoint = "http://localhost:8888/api/chat";
"""


@pytest.mark.node
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_other_lines_of_the_javascript_client_run_in_node(number: int, tmp_path: Path) -> None:
    """Of docs/clients.md and of the README's analytics, with what their page would have around."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not on the PATH")
    (tmp_path / "node_modules" / "@riverrun").mkdir(parents=True)
    (tmp_path / "node_modules" / "@riverrun" / "client").symlink_to(CLIENTS / "javascript")
    manual = (ROOT / "docs" / "clients.md").read_text("utf-8")
    found = [*re.findall(r"```js\n(.*?)```", manual, re.DOTALL), _snippets("javascript", "js")[2]]
    assert len(found) == 3
    code = found[number].replace("stream(query)", "stream(query, { endpoint })")
    code = code.replace('Japan", {', 'Japan", { endpoint,').replace("…", "show(event);")
    with serve(answers(*EVENTS)) as server:
        lines = f"{AROUND}{code}\nprocess.on('exit', () => console.log(written.join('')));"
        (tmp_path / "a.mjs").write_text(lines.replace("http://localhost:8888", server.url))
        assert "The tower [1]." in _run([node, "a.mjs"], tmp_path)


@pytest.mark.parametrize("place", ["clients/python/README.md", "docs/clients.md"])
def test_the_first_lines_of_the_python_client_run(place: str, tmp_path: Path) -> None:
    """With the package of the clone."""
    manual = (ROOT / place).read_text("utf-8")
    with serve(answers(*EVENTS)) as server:
        code = re.findall(r"```python\n(.*?)```", manual, re.DOTALL)[0].replace(
            "http://localhost:8888", server.url
        )
        said = _run([sys.executable, "-c", code], tmp_path, PYTHONPATH=str(CLIENTS / "python"))
    assert said.strip() == "The tower [1]."


def test_each_readme_says_how_to_install() -> None:
    """From a clone, because nothing is published yet; the folder that it names is there."""
    for client, line in (("javascript", "npm install "), ("python", "pip install ")):
        text = (CLIENTS / client / "README.md").read_text("utf-8")
        (named,) = re.findall(rf"^{line}.*?(clients/\w+)", text, re.MULTILINE)
        assert (ROOT / named).is_dir()
