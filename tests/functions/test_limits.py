"""Limits on a real server: floods, strangers, the switch, a ledger away; and what is said."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.settings import ROOT
from tests.functions.serving import Server, clean, run_server

KEYS = {"RIVERRUN_API_KEYS": "alice=0123456789abcdef,bob=fedcba9876543210"}
ALICE = {"Authorization": "Bearer 0123456789abcdef"}
BOB = {"Authorization": "Bearer fedcba9876543210"}
QUICK = {"query": "count to a hundred"}


@contextmanager
def limited_server(environ: Mapping[str, str], folder: Path, **limits: str) -> Iterator[Server]:
    """A server with a log on disk, and limits."""
    named = {f"RIVERRUN_{name.upper()}": value for name, value in limits.items()}
    with run_server(
        {**environ, "RIVERRUN_LOG": f"sqlite://{folder}/runs.sqlite", **named}
    ) as server:
        yield server


def test_one_visitors_flood_leaves_the_others_served(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """429 with when to come back; the other one's question is answered."""
    with limited_server(environ | KEYS, tmp_path, visitor_runs_per_minute="3") as server:
        flood = [server.ask(data=QUICK, headers=ALICE) for _ in range(12)]
        assert sorted({reply.status for reply in flood}) == [200, 429]
        assert sum(reply.status == 200 for reply in flood) in (3, 6)  # a minute may begin between
        refused = next(reply for reply in flood if reply.status == 429)
        assert json.loads(refused.body)["code"] == "rate_limited"
        assert 1 <= int(dict(refused.headers)["retry-after"]) <= 60
        assert server.ask(data=QUICK, headers=BOB).status == 200


def test_runs_at_once_are_counted_and_not_their_readers(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Sixty times "ask and hang up" is no sixty runs; neither for one visitor nor for all."""
    with limited_server(
        environ | KEYS, tmp_path, visitor_runs_at_once="2", max_streams="3"
    ) as server:
        for headers, most in ((ALICE, 2), (BOB, 3)):
            for _ in range(20):
                asked = json.dumps({"query": "hang", "streaming": True}).encode()
                lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode()
                head = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\n" + lines
                kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(asked)
                with server.raw(head + kind + asked) as wire:
                    assert wire.recv(64)
            with sqlite3.connect(tmp_path / "runs.sqlite") as db:
                assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == most
            db.close()


def test_a_days_tokens_are_reserved_before_they_are_used(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """A second question at the same moment does not see a budget with room for one."""
    with limited_server(environ, tmp_path, total_tokens_per_day="50") as server:
        first = server.ask(data=QUICK)
        assert first.status == 200
        with server.open_stream("hang") as reader:
            reader.until("sources")
            refused = server.ask(data=QUICK)
            assert (refused.status, json.loads(refused.body)["code"]) == (429, "budget_exceeded")
            run = json.loads(first.body)["runId"]
            read = server.ask(f"/api/chat/runs/{run}/events")
            assert (read.status, b"final" in read.body) == (200, True)


def test_the_switch_is_turned_while_it_runs(environ: dict[str, str], tmp_path: Path) -> None:
    """New questions are refused; what was answered can be read; then they are taken again."""
    log = {"RIVERRUN_LOG": f"sqlite://{tmp_path}/runs.sqlite"}

    def turn(state: str) -> None:
        command = [sys.executable, "-m", "services.limits", state]
        subprocess.run(command, cwd=ROOT, env=clean(log), check=True, capture_output=True)

    turn("off")
    with limited_server(environ, tmp_path, total_runs_per_minute="100") as server:
        refused = server.ask(data=QUICK)
        assert (refused.status, json.loads(refused.body)["code"]) == (503, "overloaded")
        assert server.ask("/api/health").status == 200


def test_a_ledger_that_is_away_refuses_questions_and_no_reader(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """A limit that cannot be checked is none."""
    with limited_server(environ, tmp_path, visitor_runs_per_minute="100") as server:
        asked = server.ask(data=QUICK)
        run = json.loads(asked.body)["runId"]
        with ExitStack() as stack:
            lock = sqlite3.connect(tmp_path / "runs.ledger.sqlite", isolation_level=None)
            stack.callback(lock.close)
            lock.execute("BEGIN EXCLUSIVE")
            refused = server.ask(data=QUICK)
            assert (refused.status, json.loads(refused.body)["code"]) == (503, "overloaded")
            assert "retry-after" in dict(refused.headers)
            assert server.ask(f"/api/chat/runs/{run}").status == 200
        assert server.ask(data=QUICK).status == 200


def test_strangers_do_not_share_what_they_can_guess(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """A session that we did not give out is a new one, and its id comes back."""
    with limited_server(environ, tmp_path) as server:
        first = json.loads(server.ask(data={**QUICK, "sessionId": "alice"}).body)
        second = json.loads(server.ask(data={**QUICK, "sessionId": "alice"}).body)
        assert len({"alice", first["sessionId"], second["sessionId"]}) == 3
        again = json.loads(server.ask(data={**QUICK, "sessionId": first["sessionId"]}).body)
        assert again["sessionId"] == first["sessionId"]


def test_a_link_is_read_by_who_has_no_header(environ: dict[str, str], tmp_path: Path) -> None:
    """Its run alone; a key has no place in a URL."""
    with limited_server(environ | KEYS, tmp_path) as server:
        run = json.loads(server.ask(data=QUICK, headers=ALICE).body)["runId"]
        other = json.loads(server.ask(data=QUICK, headers=ALICE).body)["runId"]
        path = f"/api/chat/runs/{run}/token"
        assert server.ask(path, method="POST", headers=BOB).status == 404
        made = json.loads(server.ask(path, method="POST", headers=ALICE).body)
        events = f"/events?token={made['token']}"
        assert server.ask(f"/api/chat/runs/{run}{events}").status == 200
        assert server.ask(f"/api/chat/runs/{other}{events}").status == 401
        assert server.ask(f"/api/chat?query=x&token={made['token']}").status == 401


def test_a_run_is_said_in_one_line_and_in_metrics(environ: dict[str, str], tmp_path: Path) -> None:
    """Figures and codes; no question, no answer, no key."""
    with limited_server(environ | KEYS, tmp_path, metrics="prometheus") as server:
        assert server.ask(data=QUICK, headers=ALICE).status == 200
        assert server.ask(data=QUICK).status == 401
        assert server.ask("/metrics").status == 401
        text = server.ask("/metrics", headers=ALICE).body.decode()
        assert 'riverrun_runs_total{code="stop"} 1' in text
        assert re.search(r'riverrun_refused_total\{code="unauthorized"\} [12]', text)
        assert 'riverrun_run_ms_bucket{le="+Inf"} 1' in text
    (line,) = [one for one in server.errors if '"event":"run"' in one]
    said: dict[str, Any] = json.loads(line[line.index("{") :])
    assert said["code"] == "stop"
    assert said["durationMs"] >= said["firstEventMs"]
    everything = "".join(server.errors)
    for secret in ("count to a hundred", "98 99", "0123456789abcdef"):
        assert secret not in everything


def test_metrics_are_no_page_where_no_one_asked_for_them(server: Server) -> None:
    """By default there is nothing."""
    assert server.ask("/metrics").status == 404


@pytest.mark.parametrize("door", ["keys", "secret and keys"])
def test_a_door_opens_to_who_has_what_it_asks_for(
    environ: dict[str, str], tmp_path: Path, door: str
) -> None:
    """The gateway's secret and the visitor's key are two things, and each is needed."""
    gateway = {"X-Riverrun-Gateway": "between-us"}
    secrets = {"gateway_secrets": "between-us"} if "secret" in door else {}
    with limited_server(environ | KEYS, tmp_path, **secrets) as server:
        tried = {
            "nothing": {},
            "key": ALICE,
            "secret": gateway,
            "both": {**gateway, **ALICE},
            "a wrong secret": {"X-Riverrun-Gateway": "guess", **ALICE},
        }
        got = {
            name: server.ask(data=QUICK, headers=headers).status for name, headers in tried.items()
        }
    let_in = {"both"} if secrets else {"key", "both", "a wrong secret"}
    assert {name for name, status in got.items() if status == 200} == let_in
    assert {status for name, status in got.items() if name not in let_in} == {401}
