"""`python -m functions`: it starts with one sentence, fails with one line, and ends when told."""

import json
import signal
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.functions.reading_on import Answer, read_body
from tests.functions.serving import READY, Server, run_server, start

PATIENCE = 60.0


def fails(environ: dict[str, str], lines: int = 1) -> str:
    """The one line with which the command refuses to start, or a line of the log before it."""
    with start(environ) as process:
        try:
            said, complaint = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert said == ""
    assert complaint.endswith("\n")
    assert complaint.count("\n") == lines, complaint
    return complaint.strip()


ENDED = ("INFO riverrun.run: Run ", "INFO riverrun.runs: ")


def error_lines(server: Server) -> list[str]:
    """What it wrote to stderr besides the runs that it ended."""
    return [line for line in server.errors if not line.startswith(ENDED)]


def test_the_first_line_says_where_it_is_and_that_is_true(server: Server) -> None:
    """Who reads the line may connect at once."""
    assert server.ask("/api/health").status == 200
    assert READY.match(f"Riverrun is on http://localhost:{server.port}  (the page; …)")


def test_a_taken_port_is_one_line_that_names_another(environ: dict[str, str]) -> None:
    """Not a traceback."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        line = fails({**environ, "PORT": str(port)})
    assert f"Port {port} on 127.0.0.1 is taken" in line
    assert "make dev PORT=" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_network_is_not_served_without_a_credential(environ: dict[str, str], host: str) -> None:
    """It would be open to every caller, and nothing would say so."""
    line = fails({**environ, "HOST": host})
    assert "RIVERRUN_API_KEYS" in line
    assert "RIVERRUN_OPEN" in line


def test_a_host_that_is_not_ours_is_one_line(environ: dict[str, str]) -> None:
    """192.0.2.1 is no machine's address."""
    line = fails({**environ, "HOST": "192.0.2.1", "RIVERRUN_OPEN": "on"})
    assert line.startswith("Cannot listen on 192.0.2.1 port 0: ")
    assert "Errno" not in line


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("RIVERRUN_CHAT", "gpt", "extractive, scripted"),
        ("RIVERRUN_EMBEDDING", "cloud", "local"),
        ("RIVERRUN_LOG", "redis://x", "memory://"),
        ("PORT", "http", "from 0 to 65535"),
        ("PORT", "65536", "from 0 to 65535"),
        ("RIVERRUN_HEARTBEAT", "0", "greater than 0"),
        ("RIVERRUN_MAX_STREAMS", "none", "at least 1"),
    ],
)
def test_an_unknown_value_is_one_line_that_lists_the_known(
    name: str, value: str, known: str, environ: dict[str, str]
) -> None:
    """The variable by name, what it said, and what it may say."""
    line = fails({**environ, name: value})
    assert name in line
    assert value in line
    assert known.split(", ", maxsplit=1)[0] in line


def test_a_missing_index_is_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    """It says where it looked and how to make one."""
    nowhere = tmp_path / "nowhere"
    line = fails({**environ, "RIVERRUN_INDEX": str(nowhere)})
    assert str(nowhere) in line
    assert "make ingest" in line


def test_a_damaged_index_is_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    """The same for one that is there and cannot be read."""
    for file in Path(environ["RIVERRUN_INDEX"]).rglob("*"):
        if file.is_file():
            (tmp_path / file.name).write_bytes(b"\x00")
    assert str(tmp_path) in fails({**environ, "RIVERRUN_INDEX": str(tmp_path)})


def test_a_missing_model_is_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    """It says where it looked."""
    nowhere = str(tmp_path / "model")
    assert nowhere in fails({**environ, "RIVERRUN_EMBEDDING_FILE": nowhere})


@pytest.mark.parametrize("text", [None, "[", '[{"when": "*", "steps": [{"sing": 1}]}]'])
def test_a_missing_or_broken_script_is_one_line(
    text: str | None, environ: dict[str, str], tmp_path: Path
) -> None:
    """It says what is wrong with it."""
    file = tmp_path / "script.json"
    if text is not None:
        file.write_text(text)
    assert str(file) in fails({**environ, "RIVERRUN_SCRIPT": str(file)})
    assert "RIVERRUN_SCRIPT" in fails({**environ, "RIVERRUN_SCRIPT": ""})


def test_a_log_that_another_program_has_locked_is_told_with_its_path(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """And no traceback: what to end or to set is in it."""
    path = tmp_path / "locked.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        complaint = fails({**environ, "RIVERRUN_LOG": f"sqlite://{path}"}, lines=2)
    assert f"{path} is locked by another process. End it" in complaint
    assert complaint.endswith("\nThe run log is busy.")


@pytest.mark.parametrize("stuck", ["thread", "task"])
def test_ctrl_c_ends_it_though_a_provider_does_not_end(stuck: str, environ: dict[str, str]) -> None:
    """Neither a thread that does not return nor a task that swallows its end is waited for."""
    with (
        run_server(environ, "tests.functions.stuck") as server,
        server.open_stream(stuck) as said,
    ):
        said.until("token")
        server.process.send_signal(signal.SIGINT)
        assert said.until("error")["retryable"]
        assert server.process.wait(60) == 0


def test_it_ends_though_a_provider_blocks_the_event_loop(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Nothing can be told any more, and the process still ends."""
    blocked = tmp_path / "blocked"
    with (
        run_server(environ, "tests.functions.stuck") as server,
        server.open_stream(f"loop {blocked}"),
    ):
        while not blocked.exists():
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)


@pytest.mark.parametrize(
    ("sign", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, 0)],
)
def test_it_ends_at_once_and_tells_those_who_wait(
    sign: signal.Signals, status: int, environ: dict[str, str]
) -> None:
    """A stream ends with its last event, not in mid-air, and nothing is called an error."""
    with (
        run_server(environ) as server,
        server.open_stream("one word") as said,
        server.open_stream("hang") as silent,
    ):
        said.until("token")
        silent.until("sources")
        server.process.send_signal(sign)
        kept = said.until("error")
        assert (kept["code"], kept["partial"]["answer"]) == ("interrupted", "One ")
        assert silent.until("error")["code"] == "interrupted"
        assert said.event() is None
        assert silent.event() is None
        assert server.process.wait(PATIENCE) == status
    assert not error_lines(server)


def test_who_presses_ctrl_c_twice_is_shown_no_traceback(environ: dict[str, str]) -> None:
    """The second one comes while the first is being heeded."""
    with run_server(environ) as server, server.open_stream("hang") as silent:
        silent.until("sources")
        for _ in range(2):
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert server.process.wait(PATIENCE) == 0
    assert not error_lines(server)


def test_what_it_was_writing_goes_on_when_it_is_started_again(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """With a log in a file: the same run, the next number, nothing said twice."""
    steps: list[dict[str, object]] = []
    for number in range(12):
        steps += [{"text": f"{number} "}, {"waitMs": 150}]
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"when": "*", "steps": steps}]))
    environ = {
        **environ,
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_LOG": f"sqlite://{tmp_path}/runs.sqlite",
    }
    answer = Answer()
    asked = {"query": "count", "streaming": True, "resume": True}
    with run_server(environ) as server:

        def end_it() -> None:
            while not answer.text:
                time.sleep(0.05)
            server.process.send_signal(signal.SIGTERM)

        ending = threading.Thread(target=end_it)
        ending.start()
        body = read_body(answer, server.url, "POST", "/api/chat", json.dumps(asked).encode())
        ending.join()
        assert body.paused is not None
        assert (body.paused["reason"], body.whole) == ("shutdown", True)
        server.process.wait(PATIENCE)
        assert not error_lines(server)
        # Whole in one file, which can be copied.
        assert not (tmp_path / "runs.sqlite-wal").exists()
    with run_server(environ) as server:
        # As `fetch-event-source` comes back: the same POST, with the last id.
        read_body(
            answer,
            server.url,
            "POST",
            "/.netlify/functions/chat",
            json.dumps(asked).encode(),
            {"Last-Event-ID": answer.ids[-1]},
        )
    answer.check()
    assert answer.last["result"]["answer"] == "".join(f"{number} " for number in range(12))


def test_it_answers_those_who_wait_for_one_object_before_it_ends(environ: dict[str, str]) -> None:
    """503 that may be tried again."""
    with run_server(environ) as server:
        body = b'{"query": "hang"}'
        head = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with (
            server.raw(head + b"Content-Length: %d\r\n\r\n" % len(body) + body) as wire,
            server.open_stream("hang") as witness,
        ):
            # Its run began later, so the other one is on its way too.
            witness.until("sources")
            server.process.send_signal(signal.SIGTERM)
            answer = b"".join(iter(lambda: wire.recv(65536), b""))
        assert b" 503 " in answer.partition(b"\r\n")[0]
        assert b'"code":"interrupted"' in answer
        server.process.wait(PATIENCE)
    assert not error_lines(server)


def test_two_on_one_port_cannot_both_start(server: Server, environ: dict[str, str]) -> None:
    """The port is ours from the first line on."""
    line = fails({**environ, "PORT": str(server.port)})
    assert "is taken" in line


def test_the_page_and_what_is_not_there(server: Server) -> None:
    """The page at the root; anything else that is missing is a 404, never a 500."""
    page = server.ask("/")
    assert page.status == 200
    assert (page.header("Content-Type") or "").startswith("text/html")
    missing = ["/nope", "/api", "/.netlify", "/%00", "/..%2f..%2fREADME.md", "/api/nope"]
    missing += ["/api/chat/", "/api/chats", "/api/chat/run", "/.netlify/functions/"]
    for target in missing:
        assert server.ask(target).status == 404, target
    assert server.ask("/", b"{}").status == 405
    assert server.ask("/api/nope").json()["code"] == "not_found"
