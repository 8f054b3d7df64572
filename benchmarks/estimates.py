"""How right `etaMs` is: what each status promised against when the answer ended.

A model of its own beside the server says answers of other lengths, 10 ms a word, to the shipped
questions, so the time differs from one to the next as it does with a real one.
`python -m benchmarks.estimates`.
"""

import json
import statistics
import tempfile
import time

from benchmarks.servers import post, run_server
from benchmarks.table import Table
from fakes.openai import openai
from services.settings import ROOT

ANSWERS = 100
_MODEL = {"RIVERRUN_CHAT": "openai", "RIVERRUN_CHAT_MODEL": "fake", "OPENAI_API_KEY": "none"}


def tables() -> list[Table]:
    """One question after another in one process, which learns what steps take."""
    lines = (ROOT / "benchmarks" / "answers" / "guide.txt").read_text("utf-8").splitlines()
    questions = [line.partition("|")[0].strip() for line in lines if "|" in line]
    errors: dict[str, list[float]] = {}
    took = []
    with (
        openai() as model,
        tempfile.TemporaryDirectory() as folder,
        run_server(
            ["-m", "functions"],
            RIVERRUN_LOG="memory://",
            RIVERRUN_DATA_DIR=folder,
            OPENAI_BASE_URL=f"{model.url}/v1",
            **_MODEL,
        ) as port,
    ):
        for number in range(ANSWERS):
            promised, whole = ask(port, questions[number % len(questions)])
            took.append(whole)
            for name, at, left in promised:
                errors.setdefault(name, []).append(abs(at + left - whole))
    rows = [
        (
            name,
            len(found),
            f"{statistics.median(found):.0f}",
            f"{sorted(found)[-len(found) // 10]:.0f}",
        )
        for name, found in errors.items()
    ]
    return [
        Table(
            "How right `etaMs` is",
            f"{ANSWERS} answers of {min(took):.0f} to {max(took):.0f} ms, median "
            f"{statistics.median(took):.0f}, by a stand-in of 10 ms a word: how far the end was "
            "from what each status promised, in milliseconds.",
            ("promised by", "promises", "median", "p90"),
            rows,
        )
    ]


def ask(port: int, question: str) -> tuple[list[tuple[str, float, float]], float]:
    """The promises of one answer, each by whom, when and for when; and when it ended."""
    body = json.dumps({"query": question, "streaming": True, "include": []}).encode()
    started = time.perf_counter()
    promised, received = [], b""
    with post(port, "/api/chat", body) as connection:
        while chunk := connection.recv(65536):
            at = (time.perf_counter() - started) * 1000
            received += chunk
            *lines, received = received.split(b"\n")
            for line in lines:
                if not line.startswith(b"data: "):
                    continue
                status = json.loads(line[6:]).get("status")
                if status and status.get("etaMs") is not None:
                    name = f"step {status['step']}, {status['status']}"
                    promised.append((name, at, float(status["etaMs"])))
    return promised, (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
