"""The page and the real functions together: a browser at one end, documents at the other."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.browser import Page
from tests.emulator.support import run_cloud

pytestmark = pytest.mark.browser

DOCUMENT = """# Ferries

## Fares
A ferry ticket in Whitehaven costs four crowns and is sold at the blue kiosk on the pier.

## Hours
The last ferry leaves Whitehaven at nine in the evening from the pier.
"""
SCRIPT = """[
  {"when": "slowly", "steps": [{"text": "Not yet"}, {"hang": true}]},
  {"when": "badly", "steps": [{"text": "Half"}, {"error": "provider_error"}]},
  {"when": "*", "steps": [{"text": "Four crowns "}, {"text": "[1]."}]}
]"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `python -m functions` over a small index of its own, with a scripted model."""
    home = tmp_path_factory.mktemp("whole")
    documents, index, script = home / "documents", home / "index", home / "script.json"
    documents.mkdir()
    (documents / "ferries.md").write_text(DOCUMENT)
    script.write_text(SCRIPT)
    environment = os.environ | {
        "PORT": "0",
        "HOST": "127.0.0.1",
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_DATA_DIR": str(home / "data"),
    }
    run = (sys.executable, "-m")
    ingest = (*run, "services.context", str(documents), "--index", str(index))
    subprocess.run(ingest, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=60)
    log = (home / "functions.log").open("wb")
    with subprocess.Popen(
        (*run, "functions"), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log
    ) as server:
        try:
            assert server.stdout is not None
            hello = server.stdout.readline().decode()
            found = re.search(r"http://[^ /]+:(\d+)", hello)
            assert found is not None, Path(log.name).read_text()
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            server.terminate()
            server.communicate(timeout=60)
            log.close()


def test_a_person_asks_opens_a_passage_stops_and_fails(url: str, page: Page) -> None:
    """One visit: an answer with its source, a stop the server obeys, an error it explains."""

    def ask(question: str, phase: str) -> None:
        page.evaluate("document.querySelector('#question').focus()")
        page.type(question)
        page.press("Enter")
        last = "document.querySelector('.turn:last-child')"
        page.wait_for(
            f"{last}?.querySelector('.asked').textContent === '{question}'"
            f" && {last}.dataset.phase === '{phase}'"
        )

    page.open(url)
    page.wait_for("document.querySelectorAll('.sample').length === 2")
    assert page.text("#samples").split("\n") == ["Ferries: Fares", "Ferries: Hours"]
    ask("What does a ferry ticket cost?", "done")
    assert page.text(".follow-ups li") == "Ferries: Hours"
    assert page.evaluate("document.querySelectorAll('.steps li').length") >= 2
    page.click(".cite")
    page.wait_for("document.activeElement.closest('details')?.open")
    assert "crowns" in page.text(".sources details[open] blockquote")

    ask("Tell me slowly", "answering")
    page.wait_for("document.querySelector('.turn:last-child .answer').innerText === 'Not yet'")
    page.click("#stop")
    page.wait_for("document.querySelector('.turn:last-child').dataset.phase === 'stopped'")
    assert page.text(".turn:last-child .answer") == "Not yet"

    ask("Tell me badly", "failed")
    assert page.text(".turn:last-child .problem .what")
    assert page.text(".turn:last-child .answer") == "Half"

    # The conversation is deleted: on the server too, once there is no way back.
    entry = "JSON.parse(localStorage['riverrun-conversation-' + sessionStorage['riverrun-open']])"
    runs = page.evaluate(f"{entry}.turns.map(({{cursor}}) => cursor.slice(0, 32))")
    state = "Promise.all({}.map(async (run) => (await fetch(`/api/chat/runs/${{run}}`)).status))"
    assert page.evaluate(state.format(runs)) == [200] * 3
    page.click("#menu")
    page.click("#list li .quiet:last-child")
    assert page.complaints == []
    page.open(f"{url}/?left")
    page.wait_for(f"({state.format(runs)}).then((all) => all.every((one) => one === 404))")


def test_the_plug_is_pulled_and_the_answer_goes_on(page: Page, tmp_path: Path) -> None:
    """The page kills the function that writes, and the same answer is whole, each word once."""
    words = [f"word{number} " for number in range(40)]
    steps = [step for word in words for step in ({"text": word}, {"waitMs": 50})]
    (tmp_path / "script.json").write_text(json.dumps([{"when": "*", "steps": steps}]))
    environment = {
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(tmp_path / "script.json"),
        "RIVERRUN_DATA_DIR": str(tmp_path / "data"),
        "RIVERRUN_LOG": "sqlite://",
    }
    with run_cloud(ROOT / "template.yaml", options={"environ": os.environ | environment}) as cloud:
        page.open(cloud.url("netlify").replace("127.0.0.1", "localhost"))
        page.evaluate("document.querySelector('#question').focus()")
        page.type("What does it cost in Paris?")
        page.press("Enter")
        page.wait_for("document.querySelector('.answer')?.innerText.includes('word9')")
        page.click(".composer .plug")  # where no line of the answer moves it
        page.wait_for("document.querySelector('.notices')?.innerText.includes('was killed')")
        finished = "document.querySelector('.turn')?.dataset.phase === 'done'"
        page.wait_for(finished)
        assert page.text(".notices").endswith("Another one finished it.")
        assert page.evaluate("document.querySelector('.plug').hidden")
        assert page.text(".answer").split() == [word.strip() for word in words]
    assert not [said for said in page.complaints if "ERR_" not in said]
