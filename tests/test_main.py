"""`main:app` under a web server that knows nothing of us: all routes, and an end in order."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.pauses import SWITCH_SECONDS
from services.settings import ROOT
from tests.functions.serving import clean

STREAMS = 64
QUERY = {"query": "Plan a ten day trip to Japan", "streaming": True, "resume": True}


def test_it_loads_nothing_of_the_runtime_that_polls_lambda() -> None:
    """Of that package only the word that marks a handler, and no variable of it is looked at."""
    code = (
        "import sys, main; from services.streaming import shut_down; "
        "print(sorted(m for m in sys.modules if m.startswith('services.lambda_runtime')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['services.lambda_runtime', 'services.lambda_runtime.handler']"


def test_its_threads_give_the_interpreter_back_soon() -> None:
    """One that searches would hold every stream of the process up for five milliseconds."""
    code = "import sys, main; print(sys.getswitchinterval())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean({}), capture_output=True, check=True
    )
    assert float(done.stdout) == pytest.approx(SWITCH_SECONDS)


def test_its_log_is_text_or_json_as_is_said() -> None:
    """One line a record either way, on standard output, where AWS reads it."""
    code = "import main, logging; logging.getLogger('x').warning('two\\nlines')"
    said = {
        form: subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=clean({"RIVERRUN_LOG_FORMAT": form}),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for form in ("text", "json")
    }
    assert said["text"] == "WARNING x: two\\nlines\n"
    record = json.loads(said["json"])
    assert (record["level"], record["logger"]) == ("WARNING", "x")
    assert record["message"] == "two\\nlines"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["timestamp"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lifespan", "number"),
    [("on", signal.SIGTERM), ("off", signal.SIGTERM), ("on", signal.SIGINT)],
)
def test_a_signal_ends_every_stream_with_its_last_event(
    tmp_path: Path, lifespan: str, number: signal.Signals
) -> None:
    """Also where no lifespan runs; and each run goes on in another process.

    With a lifespan the log is closed as well: all of it is in one file.
    """
    environ = {"RIVERRUN_LOG": f"sqlite://{tmp_path}/runs", "RIVERRUN_CHAT_PACE": "4"}
    with run_uvicorn(environ, lifespan) as (server, port):
        ended = asyncio.run(end_under_streams(port, server, number))
    assert lifespan == "off" or not (tmp_path / "runs-wal").exists()
    assert [events[-1]["type"] for events in ended] == ["paused"] * STREAMS
    assert {events[-1]["reason"] for events in ended} == {"shutdown"}
    with run_uvicorn({**environ, "RIVERRUN_CHAT_PACE": "2000"}, lifespan) as (_, port):
        events = asyncio.run(read_on(port, ended[0][-1]["cursor"]))
    assert events[-1]["type"] == "final"
    said = [e["text"] for e in [*ended[0], *events] if e["type"] == "token"]
    assert "".join(said) == events[-1]["result"]["answer"]


@contextmanager
def run_uvicorn(
    environ: dict[str, str], lifespan: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Uvicorn's own command on a free port, which it says."""
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", "0", "--lifespan", lifespan]
    with subprocess.Popen(
        [*command, "--no-access-log"],
        cwd=ROOT,
        env=clean(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if b"running on" in line)
        try:
            yield process, int(line.split(b" (")[0].rsplit(b":", 1)[1])
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()
                process.stderr.read()


async def end_under_streams(
    port: int, server: "subprocess.Popen[bytes]", number: signal.Signals
) -> list[list[Any]]:
    """Every stream's events, where a signal comes once each has a token."""
    speaking = [asyncio.Event() for _ in range(STREAMS)]
    streams = [asyncio.create_task(stream(port, QUERY, event)) for event in speaking]
    await asyncio.gather(*(event.wait() for event in speaking))
    server.send_signal(number)
    return await asyncio.gather(*streams)


async def stream(port: int, query: dict[str, Any], speaking: asyncio.Event) -> list[Any]:
    """The events of an answer, whose body must end as HTTP says."""
    body = json.dumps(query)
    head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    return await exchange(port, head + body, speaking)


async def read_on(port: int, cursor: str) -> list[Any]:
    """The events after a cursor."""
    head = f"GET /api/chat?resume=1 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {cursor}\r\n\r\n"
    return await exchange(port, head, asyncio.Event())


async def exchange(port: int, request: str, speaking: asyncio.Event) -> list[Any]:
    """One request and the events of its whole response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    events: list[Any] = []
    try:
        while (line := await reader.readline()) != b"0\r\n":
            assert line, "the response was cut"
            if line.startswith(b"data: "):
                events.append(json.loads(line[6:]))
                if events[-1]["type"] == "token":
                    speaking.set()
    finally:
        writer.close()
    return events
