"""The command as a person and a script meet it: real processes, a real terminal, a real server."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import riverrun_client
from riverrun_client.__main__ import main
from tests.clients.python.scripted_server import (
    WHOLE,
    Answer,
    frame,
    refusal,
    run_script,
    token,
)
from tests.clients.python.serving import ANSWER, Product

pytestmark = pytest.mark.slow


PACKAGE = Path(riverrun_client.__file__).parent.parent
PATIENCE = 30.0

# Whatever a terminal would act on; line ends and tabs are text.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def environ(url: str, **more: str) -> dict[str, str]:
    """An environment in which nothing but the server is set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RIVERRUN_") and name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
    }
    kept.setdefault("XDG_STATE_HOME", os.devnull)  # nothing is remembered of what tests ask
    said = {"PYTHONPATH": str(PACKAGE), "RIVERRUN_URL": url, "NO_PROXY": "*", "PYTHONUTF8": "1"}
    return {**kept, **said, "TERM": "xterm-256color", **more}


def start_command(url: str, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    """The command, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "riverrun_client", *arguments],
        env=environ(url, **more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(url: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command from its start to its end, without a process: most of what it does needs none."""
    out, err, stdin = io.StringIO(), io.StringIO(), io.TextIOWrapper(io.BytesIO(given.encode()))
    with (
        patch.dict(os.environ, environ(url), clear=True),
        patch.object(sys, "stdin", stdin),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = main(arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def run_apart(url: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own."""
    with start_command(url, *arguments, **more) as process:
        out, err = process.communicate("", timeout=PATIENCE)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


# A shell gives a command the terminal it runs in, so that Ctrl-C reaches it; and it is heard,
# though these tests may be a background job, which ignores it.
IN_TERMINAL = """
import fcntl, runpy, signal, termios
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("riverrun_client", run_name="__main__")
"""


class TerminalView:
    """The command in a terminal of 80 columns; `text` is everything it was sent."""

    def __init__(self, url: str, *arguments: str, **more: str) -> None:
        self.text = ""
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, *arguments],
            env=environ(url, **more),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def until(self, text: str) -> None:
        """Read until it is shown."""
        end = time.monotonic() + PATIENCE
        while text not in self.text:
            assert time.monotonic() < end, self.text
            assert self._read(), f"it ended: {self.text}"

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def read_to_end(self) -> int:
        """Read to the end. Returns the exit status."""
        end = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < end, f"it does not end: {self.text[-2000:]}"
        os.close(self._master)
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        assert ready, f"it says nothing more: {self.text}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)


def run_in(text: str) -> str:
    """The run id in a summary line."""
    found = re.search(r"run ([0-9a-f]{32})", text)
    assert found is not None
    return found[1]


def test_a_pipe_gets_the_answer_and_the_sources(product_server: Product) -> None:
    """Plain, as it is said; what is being done goes to standard error."""
    done = run_apart(product_server.url, "What is there to see in Paris?")
    assert done.returncode == 0
    answer, _, sources = done.stdout.partition("\n\nSources\n")
    assert answer == ANSWER
    assert re.fullmatch(r"(  \[\d\] .+  \S+\n)+", sources)
    assert "- Searching the documents\n" in done.stderr
    assert not CONTROL.search(done.stdout + done.stderr)


def test_quiet_is_the_answer_alone(product_server: Product) -> None:
    """For a script that wants a string."""
    done = run(product_server.url, "-q", "x")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{ANSWER}\n", "")


def test_json_is_the_result(product_server: Product) -> None:
    """One line."""
    done = run(product_server.url, "--json", "x")
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert (result["answer"], result["finishReason"]) == (ANSWER, "stop")
    assert done.stderr == ""


def test_ndjson_is_every_event_as_it_comes(product_server: Product) -> None:
    """With its id, in order; the last is the terminal one."""
    done = run(product_server.url, "--ndjson", "x")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [int(event["id"].rpartition("-")[2]) for event in events] == [*range(1, len(events) + 1)]
    assert [event["type"] for event in events][-1] == "final"
    assert "".join(event["text"] for event in events if event["type"] == "token") == ANSWER


def test_a_line_is_out_before_the_next_event() -> None:
    """Nothing waits in a buffer: the server says more when the line has been read."""
    more = threading.Event()
    with run_script(Answer([WHOLE[0], more, *WHOLE[1:]])) as server:
        with start_command(server.url, "--ndjson", "x") as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["type"] == "status"
            more.set()
            assert len(process.stdout.readlines()) == 4
        assert process.returncode == 0


def test_a_question_can_come_from_standard_input(product_server: Product) -> None:
    """With "-", and without any."""
    for arguments in (["-q", "-"], ["-q"]):
        assert run(product_server.url, *arguments, given="What?").stdout == f"{ANSWER}\n"


def test_behind_two_dashes_is_a_question_whatever_it_looks_like() -> None:
    """Not an option, and not a verb."""
    for said in ("--json", "watch", "bench"):
        with run_script(Answer(WHOLE)) as server:
            assert run(server.url, "-q", "--", said).returncode == 0
        assert server.asked[0].json()["query"] == said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "There is no question"),
        (["--nonsense", "x"], "unrecognized arguments"),
        (["--top-k", "many", "x"], "invalid int"),
        (["--url", "ftp://x", "x"], "not an address"),
        (["--url", "http://a b", "x"], "not an address"),
        (["--key", "a\nb", "x"], "printable ASCII"),
        (["watch"], "needs the id"),
        (["watch", "the", "river"], "put a question in quotes"),
        (["--after", "3", "x"], "for watch"),
        (["bench", "-n", "0"], "from 1"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], words: str) -> None:
    """Before anything is sent."""
    done = run("http://127.0.0.1:1", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_needs_neither_the_network_client_nor_rich() -> None:
    """It is instant because it imports nothing."""
    program = (
        "import sys\nfrom riverrun_client.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'httpx2', 'rich', 'anyio', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environ("http://x"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "exit status: 0 answered" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (refusal(401, "unauthorized"), 4, "unauthorized"),
        (refusal(422, "validation_error"), 4, "validation_error"),
        (Answer([], 204, {"Content-Type": ""}), 4, "ended"),
        (refusal(429, "rate_limited", Retry_After="3600"), 3, "rate_limited"),
        (refusal(429, "budget_exceeded"), 4, "budget_exceeded"),
        (Answer([b"<p>"], 200, {"Content-Type": "text/html"}), 5, "not_a_stream"),
        (Answer([], 302, {"Location": "/"}), 5, "redirected"),
        (Answer([], end="nothing"), 3, "unreachable"),
        (
            Answer([frame(1, {"type": "error", "error": "Broken.", "code": "provider_error"})]),
            1,
            "Broken. (provider_error)",
        ),
        (
            Answer([frame(1, {"type": "final", "result": {
                "answer": "Half", "finishReason": "cancelled"}})]),
            1,
            "was stopped",
        ),
    ],
    ids=["401", "422", "204", "429", "budget", "html", "302", "unreachable", "failed", "stopped"],
)  # fmt: skip
def test_each_kind_of_failure_has_its_status(answer: Answer, code: int, words: str) -> None:
    """And a line on standard error that says what happened."""
    with run_script(answer) as server:
        done = run(server.url, "x")
        assert done.returncode == code
        assert words in done.stderr
        if code != 1:
            assert done.stdout == ""


def test_in_json_a_failure_is_an_object_too() -> None:
    """The server's own where it sent one, and the same form where the client found it."""
    for answer, code in (
        (refusal(422, "validation_error"), "validation_error"),
        (Answer([b"<p>"], 200, {"Content-Type": "text/html"}), "not_a_stream"),
    ):
        for form in ("--json", "--ndjson"):
            with run_script(answer) as server:
                said = json.loads(run(server.url, form, "x").stdout)
            assert (said["type"], said["code"], said["retryable"]) == ("error", code, False)


def test_a_reader_that_has_enough_is_no_error(product_server: Product) -> None:
    """`| head -1`: no traceback, and 141 as any program that SIGPIPE ends."""
    with start_command(product_server.url, "--ndjson", "slowly") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert process.stderr.read() == ""


def test_output_that_cannot_be_encoded_is_replaced(product_server: Product) -> None:
    """A terminal of 1990 gets question marks, not a traceback."""
    done = run_apart(product_server.url, "-q", "escape", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.startswith("?[31mred")


@pytest.mark.parametrize("form", [[], ["--json"], ["--ndjson"], ["-q"]])
def test_no_control_character_of_the_model_is_printed(
    product_server: Product, form: list[str]
) -> None:
    """AA09: escapes, titles, links and C1 are shown, not sent; in JSON they are escaped."""
    done = run(product_server.url, *form, "escape")
    assert done.returncode == 0
    assert not CONTROL.search(done.stdout + done.stderr)
    assert "red" in done.stdout
    if form == ["--json"]:
        assert json.loads(done.stdout)["answer"].startswith("\x1b[31mred")


def test_no_control_character_of_the_model_reaches_a_terminal(product_server: Product) -> None:
    """AA09: what the terminal is sent holds rich's own sequences and none of the model's."""
    terminal = TerminalView(product_server.url, "escape")
    assert terminal.read_to_end() == 0
    assert "␛[31mred␛[0m" in terminal.text
    for sequence in ("\x1b[31mred", "\x1b]0", "\x1b]8", "\x07", "\x9b"):
        assert sequence not in terminal.text


def test_nothing_else_of_a_server_is_trusted_either(product_server: Product) -> None:
    """Descriptions, titles, addresses, reasons, error sentences, hints, codes."""
    evil = "\x1b]0;owned\x07\x9b2J\r\nx\u202e"
    source = {"id": evil, "title": evil, "uri": evil, "score": 1, "snippet": evil}
    body = [
        frame(1, {"type": "status", "status": {
            "step": 1, "description": evil, "status": "completed", "name": evil}}),
        frame(2, {"type": "notice", "code": evil, "message": evil}),
        frame(3, {"type": "sources", "sources": [source]}),
        frame(4, {"type": "token", "text": evil}),
        frame(5, {"type": "reset", "reason": evil}),
        frame(6, {"type": "final", "result": {
            "answer": evil, "sources": [source], "model": evil, "runId": evil}}),
    ]  # fmt: skip
    error = {"type": "error", "error": evil, "code": evil, "hint": evil,
             "details": [{"field": evil, "message": evil}]}  # fmt: skip
    for script, status in ((body, 0), ([frame(1, error)], 1)):
        with run_script(Answer(script)) as server:
            terminal = TerminalView(server.url, "x")
            assert terminal.read_to_end() == status
            plain = run(server.url, "x")
        assert "owned" in terminal.text
        assert not re.search(r"\x1b[\]P^_X]|\x07|[\x80-\x9f\u202e]", terminal.text)
        assert not re.search(CONTROL.pattern + "|\u202e", plain.stdout + plain.stderr)


def test_a_terminal_shows_steps_a_bar_the_answer_and_numbered_sources(
    product_server: Product,
) -> None:
    """While it happens: the bar is there before the answer is whole."""
    terminal = TerminalView(product_server.url, "slowly")
    terminal.until("word 3")
    assert "━" in terminal.text
    assert "word 12" not in terminal.text
    assert terminal.read_to_end() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.text)
    assert "✓ Question read" in plain
    # The window is narrower than the answer: what went over its edge stands above.
    assert "word 1 word 2 word 3 word 4 word 5 word 6 word 7" in plain
    assert "word 12" in plain
    assert re.search(r"\[1\] .+\n", plain)
    assert "scripted · " in plain


@pytest.mark.parametrize(
    ("arguments", "more"), [([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"}), (["--plain"], {})]
)
def test_a_terminal_can_be_plain(
    product_server: Product, arguments: list[str], more: dict[str, str]
) -> None:
    """NO_COLOR, a dumb terminal, --plain: no sequence at all."""
    terminal = TerminalView(product_server.url, *arguments, "x", **more)
    assert terminal.read_to_end() == 0
    assert "\x1b" not in terminal.text
    assert ANSWER in terminal.text


def test_without_rich_a_terminal_gets_plain_text(product_server: Product, tmp_path: Path) -> None:
    """The library and the command need httpx2 only."""
    (tmp_path / "rich.py").write_text("raise ImportError('not installed')")
    path = f"{tmp_path}{os.pathsep}{PACKAGE}"
    terminal = TerminalView(product_server.url, "x", PYTHONPATH=path)
    assert terminal.read_to_end() == 0
    assert "\x1b" not in terminal.text
    assert ANSWER in terminal.text


def test_ctrl_c_in_a_terminal_stops_the_run_on_the_server(product_server: Product) -> None:
    """The answer so far stays, the run is cancelled, the status is 130."""
    terminal = TerminalView(product_server.url, "hang")
    terminal.until("One")
    terminal.press(b"\x03")
    assert terminal.read_to_end() == 130
    assert "Traceback" not in terminal.text
    assert "\x1b[?25h" in terminal.text  # the cursor is back
    state = product_server.state(run_in(terminal.text))
    assert state["result"]["finishReason"] == "cancelled"
    assert state["result"]["answer"] == "One "


@pytest.mark.parametrize("form", [[], ["--json"], ["--ndjson"]])
def test_ctrl_c_in_a_pipe_stops_it_too(product_server: Product, form: Sequence[str]) -> None:
    """A script's SIGINT: what was said is still printed, whole."""
    with start_command(product_server.url, *form, "--ndjson", "hang") as process:
        assert process.stdout is not None
        while '"token"' not in (line := process.stdout.readline()):
            assert line
        run_id = json.loads(line)["id"].rpartition("-")[0]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["result"]["finishReason"] == "cancelled"
    assert product_server.state(run_id)["result"]["finishReason"] == "cancelled"


def test_a_watcher_joins_and_leaves_and_the_run_goes_on(product_server: Product) -> None:
    """Ctrl-C in `watch` is leaving; `stop` is stopping; both name a run."""
    with start_command(product_server.url, "--ndjson", "hang") as asker:
        assert asker.stdout is not None
        while '"token"' not in (line := asker.stdout.readline()):
            assert line
        cursor = json.loads(line)["id"]
        run_id, _, seq = cursor.rpartition("-")
        watcher = TerminalView(product_server.url, "watch", run_id)
        watcher.until("One")
        watcher.press(b"\x03")
        assert watcher.read_to_end() == 130
        assert "result" not in product_server.state(run_id)
        assert run(product_server.url, "stop", run_id).returncode == 0
        asker.communicate(timeout=PATIENCE)
    assert asker.returncode == 1
    assert run(product_server.url, "-q", "watch", run_id).stdout == "One \n"
    rest = run(product_server.url, "--ndjson", "watch", run_id, "--after", seq).stdout
    assert rest == run(product_server.url, "--ndjson", "watch", cursor).stdout
    assert [json.loads(line)["type"] for line in rest.splitlines()] == ["final"]


def test_a_lost_connection_is_told_and_mended(product_server: Product) -> None:
    """One line on standard error; the answer is whole."""
    product_server.break_with(kind="cut", at=2500)
    done = run(product_server.url, "x")
    assert done.returncode == 0
    assert done.stdout.startswith(ANSWER)
    assert re.search(r"- The connection was lost\. Try 1 in \d\.\d s\.", done.stderr)


def test_bench_measures(product_server: Product) -> None:
    """For a person and as JSON; everything counted."""
    done = run(product_server.url, "bench", "-n", "6", "-c", "3", "x")
    assert done.returncode == 0
    assert done.stdout.startswith("6 answered, 0 failed in ")
    assert re.search(r"first token +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+\n", done.stdout)
    report = json.loads(run(product_server.url, "--json", "bench", "-n", "2", "x").stdout)
    assert (report["answered"], report["failed"], report["errors"]) == (2, 0, {})
    order = [report[name]["p50"] for name in ("firstByteMs", "firstTokenMs", "completeMs")]
    assert order == sorted(order)
    assert report["eventsPerSecond"] > 0


def test_bench_counts_what_failed() -> None:
    """By code, without trying again; a server that is not there is 3."""
    with run_script(Answer(WHOLE), refusal(503, "overloaded"), Answer([token(1, "x")])) as server:
        done = run(server.url, "--json", "bench", "-n", "3", "-c", "1", "x")
        assert len(server.asked) == 3
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["errors"] == {"overloaded": 1, "interrupted": 1}
    absent = run("http://127.0.0.1:1", "bench", "-n", "2")
    assert absent.returncode == 3
    assert "2 x unreachable" in absent.stdout


@pytest.mark.parametrize("status", [202, 500])
def test_ctrl_c_in_bench_stops_every_run_it_began(status: int) -> None:
    """Those answers will not be read; what was measured is printed, whatever the server says."""
    told = Answer([b"{}"], status, {"Content-Type": "application/json"})
    held = Answer(WHOLE[:2], end="hold")
    with run_script(Answer(WHOLE), held, held, told) as server:
        with start_command(server.url, "bench", "-n", "5", "-c", "2") as process:
            while len(server.asked) < 3:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
        # A run whose head had not come yet is asked for by its key.
        ended = [line.rpartition("/")[2] for line in server.lines()[3:]]
    assert process.returncode == 130, err
    assert len(ended) >= 2
    assert set(ended) <= {"stop", "chat"}
    assert out.startswith("1 answered, 0 failed in ")
    assert "Warning" not in err
    assert "Traceback" not in err


def test_a_conversation_goes_on_where_it_was_left(
    product_server: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is a question in one session; `--continue` finds it, `runs` lists them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run(product_server.url, "chat", "--continue").returncode == 2
    told = run(product_server.url, "chat", given="one word\n\nsecond\n")
    assert told.returncode == 0
    assert len(set(re.findall(r"session (\S+)", told.stderr))) == 1
    history = tmp_path / "riverrun" / "history.ndjson"
    assert history.stat().st_mode & 0o077 == 0
    again = run(product_server.url, "chat", "--continue", "third")
    assert again.stderr.startswith("> one word\n> second\n")
    sessions = {json.loads(line)["session"] for line in history.read_text().splitlines()}
    assert len(sessions) == 1
    listed = run(product_server.url, "runs", "-n", "2").stdout.splitlines()
    assert [line.split("  ")[-1] for line in listed] == ["third", "second"]
    assert run("http://127.0.0.1:1", "runs").stdout.startswith("No runs yet")
    assert run(product_server.url, "--continue", "x").returncode == 2
