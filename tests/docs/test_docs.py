"""The documents say what the code does, and what they show runs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from services.settings import ROOT, Settings
from services.streaming import App, handle_streaming_request
from services.streaming.http.responses import STATUS_OF_CODE

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def _read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text("utf-8")


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    """docs/settings.md and settings.py name the same variables."""
    source = _read("services", "settings.py") + _read("services", "public_settings.py")
    code = set(re.findall(r'"(RIVERRUN_[A-Z_]+|PORT|HOST)"', source))
    documented = set(re.findall(r"`(RIVERRUN_[A-Z_]+|PORT|HOST)`", _read("docs", "settings.md")))
    assert code == documented


def test_every_error_code_is_documented_with_its_status() -> None:
    """docs/errors.md lists each code of the status table with the same status."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", _read("docs", "errors.md"), re.MULTILINE)
    documented = {code: int(status) for code, status in rows}
    assert documented == {**STATUS_OF_CODE, "internal": 500, "retrieval_failed": 500}


def test_every_code_that_is_raised_is_documented() -> None:
    """A code that appears in the source stands in docs/errors.md."""
    documented = _read("docs", "errors.md")
    raised: set[str] = set()
    for module in (ROOT / "services").rglob("*.py"):
        raised |= set(re.findall(r'\bcode(?:: str)? ?= ?"(\w+)"', module.read_text("utf-8")))
    assert raised
    assert {code for code in raised if f"`{code}`" not in documented} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_the_documents_lead_somewhere(document: Path) -> None:
    """Every relative link and picture of a document is a file of the repository."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8"))
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_the_nine_lines_of_the_readme_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's function is an app that answers as the README says."""
    code = re.findall(r"```python\n(.*?)```", _read("README.md"), re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 9
    names: dict[str, ASGIApp] = {}
    monkeypatch.setenv("RIVERRUN_LOG", "memory://")
    exec(code, names)
    with TestClient(names["app"]) as client:
        answer = client.post("/api/echo", json={"query": "one two", "streaming": True})
    assert 'data: {"type":"token","text":"one' in answer.text
    assert '"answer":"one two "' in answer.text


@pytest.mark.anyio
async def test_the_transcript_of_the_readme_is_what_is_said() -> None:
    """Each event that it shows is one of the answer's, up to its dots; but for the end, by number.

    Which number the end has depends on how many words a store was given at once.
    """
    readme = _read("README.md")
    *shown, last = re.findall(r"^id: [0-9a-f]{32}-(\d+)\ndata: ([^…\n]+)", readme, re.MULTILINE)
    asked = re.findall(r"-d '(\{.*streaming.*?\})'", readme)[0]
    app = App(Settings(chat_pace=1e6))
    response: Any = await handle_streaming_request(json.loads(asked), app=app)
    said = b"".join([chunk async for chunk in response.body_iterator]).decode()
    assert len(shown) == 4
    for number, beginning in shown:
        assert f"-{number}\ndata: {beginning}" in said
    assert f"data: {last[1]}" in said
    assert last[1].startswith('{"type":"final"')


@pytest.mark.anyio
async def test_a_program_hands_in_its_own_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/parts.md answers with them, and reads no variable of the environment."""
    code = re.findall(r"```python\n(.*?)```", _read("docs/parts.md"), re.DOTALL)[0]
    names: dict[str, Any] = {}
    monkeypatch.setattr("os.environ", {})
    exec(code, names)
    response = await names["ask"]("Who?")
    body = "".join([chunk.decode() async for chunk in response.body_iterator])
    assert "You asked: Who? (0 passages)" in body
    assert '"type":"final"' in body
    handed_in = re.search(r"app = App\(.*?\n\)", code, re.DOTALL)
    assert handed_in is not None
    assert handed_in[0].count("\n") < 5
