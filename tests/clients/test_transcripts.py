"""One table of transcripts, and every client of ours the same: what is sent, what comes of it."""

import asyncio
import json
import subprocess
import threading
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from riverrun_client import AsyncClient, AsyncStream, Client, RiverrunError, Stream
from tests.browser import Browser, Page
from tests.clients.javascript.installed import BIN, SUITES, needs_packages
from tests.clients.python.both import PLAIN
from tests.clients.transcripts import QUESTION, TRANSCRIPTS, play_transcript
from tests.netlify.visits import LAST, ask, becomes
from tests.netlify.wire import Wire

NAMES = [transcript["name"] for transcript in TRANSCRIPTS]


def test_the_table_is_sound() -> None:
    """No name twice; a transcript that stops says what comes of it."""
    assert len(set(NAMES)) == len(NAMES)
    for transcript in TRANSCRIPTS:
        assert ("stop" in transcript) == ("stopped" in transcript)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=NAMES)
def test_the_blocking_python_client(transcript: dict[str, Any]) -> None:
    """A stop comes from the loop, or from another thread while the answer is awaited."""
    after = transcript.get("stop", {}).get("after", "")
    with (
        play_transcript(transcript) as (scene, wire),
        httpx2.Client(**PLAIN) as http,
        Client(scene.url, http=http, sleep=lambda _: None, random=lambda: 0.0) as client,
    ):
        stream = client.stream(QUESTION)
        seen: dict[str, Any] = {}
        other = threading.Thread(target=lambda: wait_to_stop(stream, wire, seen))
        if after == "request 1":
            other.start()
        try:
            for count, _ in enumerate(stream, 1):
                if after == f"event {count}" and not stop(stream, wire, seen):
                    break
        except RiverrunError as error:
            seen["end"] = error.code
        if after == "request 1":
            other.join(20)
        scene.check(finish(seen, stream))


def wait_to_stop(stream: Stream, wire: Wire, seen: dict[str, Any]) -> None:
    """Stop once the server has the question."""
    assert wire.gate("arrived").wait(60)
    stop(stream, wire, seen)


def stop(stream: Stream, wire: Wire, seen: dict[str, Any]) -> bool:
    """Stop; whether the server accepted it."""
    wire.gate("stopping").set()
    try:
        stream.stop()
    except RiverrunError:
        seen["stopped"] = False
    else:
        seen["stopped"] = True
    return bool(seen["stopped"])


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=NAMES)
def test_the_async_python_client(transcript: dict[str, Any]) -> None:
    """The same, with a task in the thread's place."""
    with play_transcript(transcript) as (scene, wire):
        after = transcript.get("stop", {}).get("after", "")
        scene.check(asyncio.run(play(scene.url, wire, after)))


async def play(url: str, wire: Wire, after: str) -> dict[str, Any]:
    """Ask, and stop where the transcript says."""

    async def instantly(_: float) -> None:
        await asyncio.sleep(0)

    async with httpx2.AsyncClient(**PLAIN) as http:
        client = AsyncClient(url, http=http, sleep=instantly, random=lambda: 0.0)
        stream = client.stream(QUESTION)
        seen: dict[str, Any] = {}
        stopping = wait_to_astop(stream, wire, seen) if after == "request 1" else asyncio.sleep(0)
        task = asyncio.create_task(stopping)
        count = 0
        try:
            async for _ in stream:
                count += 1
                if after == f"event {count}" and not await astop(stream, wire, seen):
                    break
        except RiverrunError as error:
            seen["end"] = error.code
        await task
        return finish(seen, stream)


async def wait_to_astop(stream: AsyncStream, wire: Wire, seen: dict[str, Any]) -> None:
    """Stop once the server has the question."""
    assert await asyncio.to_thread(wire.gate("arrived").wait, 60)
    await astop(stream, wire, seen)


async def astop(stream: AsyncStream, wire: Wire, seen: dict[str, Any]) -> bool:
    """Stop; whether the server accepted it."""
    wire.gate("stopping").set()
    try:
        await stream.stop()
    except RiverrunError:
        seen["stopped"] = False
    else:
        seen["stopped"] = True
    return bool(seen["stopped"])


def finish(seen: dict[str, Any], stream: Any) -> dict[str, Any]:
    """What came of it, in the table's words."""
    if stream.result is not None:
        cancelled = stream.result.finish_reason == "cancelled"
        seen["end"] = "cancelled" if cancelled else "final"
    elif seen.get("stopped") is False:
        seen["end"] = "not_stopped"  # it was raised by `stop`, and the run may go on
    return {**seen, "answer": stream.answer}


@pytest.mark.node
@needs_packages
@pytest.mark.parametrize("kind", ["core", "hook"])
def test_the_javascript_client(kind: str) -> None:
    """The core, and the hook in React: all transcripts in one process of Node."""
    with ExitStack() as stack:
        scenes = [stack.enter_context(play_transcript(transcript))[0] for transcript in TRANSCRIPTS]
        told = [{"url": scene.url, "stop": scene.transcript.get("stop")} for scene in scenes]
        done = subprocess.run(
            [str(BIN / "node"), "transcripts.mjs", kind],
            cwd=SUITES, input=json.dumps(told), capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for scene, seen in zip(scenes, json.loads(done.stdout.splitlines()[-1]), strict=True):
            try:
                scene.check(seen)
            except AssertionError as error:
                error.add_note(f"{kind}: {scene.transcript['name']}: {seen}")
                raise


@pytest.fixture(scope="module")
def page(browser: Browser) -> Any:
    """One tab for all of them; each visits a server of its own."""
    with browser.page() as opened:
        yield opened


def select_for_page(most: int) -> list[dict[str, Any]]:
    """The transcripts that a page can show: at most so many of those that end and stop alike."""
    kinds = defaultdict[tuple[str, str], list[dict[str, Any]]](list)
    for transcript in TRANSCRIPTS:
        if "page" not in transcript.get("except", []):
            kinds[transcript["end"], transcript.get("stop", {}).get("after", "")].append(transcript)
    return [transcript for kind in kinds.values() for transcript in kind[:most]]


@pytest.mark.browser
@pytest.mark.parametrize("most", [3, pytest.param(1000, marks=pytest.mark.soak)])
def test_the_page(page: Page, most: int) -> None:
    """In a real browser; it shows how a turn ended, and says what could not be stopped.

    What is on the wire between is the client's, whose suites have each transcript every time.
    """
    phases = {"final": "done", "cancelled": "stopped"}
    for transcript in select_for_page(most):
        with play_transcript(transcript) as (scene, wire):
            page.open(scene.url)
            page.evaluate("Math.random = () => 0")
            ask(page, QUESTION)
            after = transcript.get("stop", {}).get("after", "")
            if after == "event 2":
                page.wait_for("document.querySelector('.answer')?.innerText.startsWith('One')")
            elif after:
                assert wire.gate("arrived").wait(60)
            if after:
                page.click("#stop")
                wire.gate("stopping").set()
            becomes(page, phases.get(transcript["end"], "failed"))
            text = page.evaluate(f"document.querySelector('{LAST} .answer').innerText")
            seen = {"end": transcript["end"], "answer": transcript["answer"]}
            assert text.strip() == transcript["answer"].strip(), transcript["name"]
            if transcript["end"] == "not_stopped":
                assert "could not be told to stop" in page.text(".problem")
            try:
                scene.check(seen)
            except AssertionError as error:
                error.add_note(transcript["name"])
                raise
