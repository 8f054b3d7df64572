"""`/api/chat/runs/{run}` over real sockets: look, join, stop."""

import json
from typing import Any

import pytest

from tests.functions.serving import Server

BASES = ["/api/chat/runs", "/.netlify/functions/chat/runs"]


@pytest.mark.parametrize("base", BASES)
def test_a_run_can_be_read_again_from_anywhere(server: Server, base: str) -> None:
    """From `after`, from a cursor, as a stream or as lines."""
    whole = server.stream("count to a hundred")
    run, ids = whole.header("X-Run-Id"), whole.ids()
    events = f"{base}/{run}/events"
    assert server.ask(events).body == whole.body
    assert server.ask(f"{events}?after=0").body == whole.body
    assert server.ask(f"{events}?after=40").ids() == ids[40:]
    assert server.ask(f"{events}?after=40", headers={"Last-Event-ID": ids[49]}).ids() == ids[50:]
    assert server.ask(f"{events}?after={len(ids)}").status == 204
    assert server.ask(f"{events}?after={len(ids) + 1}").status == 400
    assert server.ask(f"{events}?after=-1").status == 400
    assert server.ask(events, headers={"Last-Event-ID": "7"}).status == 400
    lines = server.ask(events, headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line)["id"] for line in lines.body.splitlines()] == ids


@pytest.mark.parametrize("base", BASES)
def test_a_run_can_be_looked_at(server: Server, base: str) -> None:
    """While it goes on and when it is over."""
    with server.open_stream("one word") as reading:
        reading.until("token")
        state = server.ask(f"{base}/{reading.run}").json()
        assert (state["state"], state["partial"]["answer"]) == ("running", "One ")
        run = reading.run
        assert server.ask(f"{base}/{run}/stop", method="POST").status == 202
        reading.until("final")
    state = server.ask(f"{base}/{run}").json()
    assert (state["state"], state["result"]["finishReason"]) == ("completed", "cancelled")


@pytest.mark.parametrize("base", BASES)
def test_a_stopped_run_ends_everywhere_and_keeps_what_it_said(server: Server, base: str) -> None:
    """Asked by another connection, as a button on another device would."""
    with server.open_stream("one word") as reading:
        reading.until("token")
        first = server.ask(f"{base}/{reading.run}/stop", method="POST")
        again = server.ask(f"{base}/{reading.run}/stop", {}, method="POST")
        assert (first.status, first.json()) == (again.status, again.json())
        assert first.status == 202
        result = reading.until("final")["result"]
        assert (result["answer"], result["finishReason"]) == ("One ", "cancelled")
        assert reading.event() is None
    assert server.ask(f"{base}/{reading.run}/stop", method="POST").status == 202


@pytest.mark.parametrize("base", BASES)
def test_a_run_can_be_rated(server: Server, base: str) -> None:
    """A thumb and a word, within bounds; the run itself stays as it was."""
    run = server.stream("count to a hundred").header("X-Run-Id")
    before = server.ask(f"{base}/{run}").body
    rated = f"{base}/{run}/feedback"
    said = {"rating": "down", "comment": " Out of date. "}
    answer = server.ask(rated, said)
    assert (answer.status, answer.json()) == (
        200,
        {"runId": run, "rating": "down", "comment": "Out of date."},
    )
    assert server.ask(rated, {"rating": "up"}).json()["comment"] == ""
    assert server.ask(rated, {"rating": ""}).json()["rating"] == ""
    for wrong, fields in (
        ({}, ["rating"]),
        ({"rating": "fine"}, ["rating"]),
        ({"rating": ["up"], "comment": "x" * 501}, ["rating", "comment"]),
        ({"rating": "up", "comment": 1}, ["comment"]),
        ({"rating": "up", "comment": "\ud83d"}, ["comment"]),
    ):
        refused = server.ask(rated, wrong)
        assert refused.status == 422, wrong
        assert [fault["field"] for fault in refused.json()["details"]] == fields
    assert server.ask(f"{base}/{'0' * 32}/feedback", {"rating": "up"}).status == 404
    assert server.ask(rated).status == 405
    assert server.ask(f"{base}/{run}").body == before


def test_a_run_stopped_before_a_word_is_cancelled(server: Server) -> None:
    """There is no answer to keep."""
    with server.open_stream("hang") as reading:
        reading.until("sources")
        server.ask(f"/api/chat/runs/{reading.run}/stop", method="POST")
        assert reading.until("error")["code"] == "cancelled"
    state = server.ask(f"/api/chat/runs/{reading.run}").json()
    assert (state["state"], state["error"]["code"]) == ("failed", "cancelled")


@pytest.mark.parametrize("run", ["0" * 32, "x", "..%2f..", "%00", "0" * 33, "%F0%9F%97%BC"])
@pytest.mark.parametrize("path", ["", "/events", "/events?after=3"])
def test_a_run_that_is_not_there_is_404(server: Server, run: str, path: str) -> None:
    """Whatever its name, and always in the same words."""
    missing = server.ask(f"/api/chat/runs/{'f' * 32}")
    reply = server.ask(f"/api/chat/runs/{run}{path}")
    assert reply.status == 404
    if "%2f" not in run:
        assert reply.body == missing.body


def test_each_address_takes_its_own_methods(server: Server) -> None:
    """405 with Allow for the rest."""
    run = "/api/chat/runs/" + "0" * 32
    for target, method, allow in [
        ("/api/chat/runs", "POST", "GET, OPTIONS"),
        ("/api/chat/runs", "DELETE", "GET, OPTIONS"),
        (run, "POST", "GET, DELETE, OPTIONS"),
        ("/api/chat/sessions/s", "GET", "DELETE, OPTIONS"),
        ("/api/chat/sessions/s", "POST", "DELETE, OPTIONS"),
        (f"{run}/events", "POST", "GET, OPTIONS"),
        (f"{run}/stop", "GET", "POST, OPTIONS"),
        (f"{run}/stop", "HEAD", "POST, OPTIONS"),
    ]:
        reply = server.ask(target, method=method)
        assert (reply.status, reply.header("Allow")) == (405, allow)


def test_a_foreign_page_can_stop_nothing(server: Server) -> None:
    """A form on another site may post without asking first."""
    with server.open_stream("one word") as reading:
        reading.until("token")
        target = f"/api/chat/runs/{reading.run}/stop"
        evil = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        assert server.ask(target, b"", headers=evil).status == 403
        assert server.ask(f"/api/chat/runs/{reading.run}").json()["state"] == "running"
        server.ask(target, method="POST")
        reading.until("final")


def test_another_owners_run_cannot_be_looked_at_read_or_stopped(keyed_server: Server) -> None:
    """It is a missing run, to the byte."""
    alpha, beta = ({"Authorization": f"Bearer {key}"} for key in ("alpha", "beta"))
    mine = keyed_server.ask(data={"query": "x", "streaming": True}, headers=alpha)
    run = mine.header("X-Run-Id") or ""
    for path, method in [
        ("", "GET"),
        ("/events", "GET"),
        ("/events?after=9", "GET"),
        ("/stop", "POST"),
        ("/token", "POST"),
        ("", "DELETE"),
    ]:
        replies = [
            keyed_server.ask(f"/api/chat/runs/{one}{path}", method=method, headers=beta)
            for one in (run, "0" * 32)
        ]
        assert replies[0].status == 404
        assert replies[0].body == replies[1].body
        names = [[name for name, _ in reply.headers] for reply in replies]
        assert names[0] == names[1]


@pytest.mark.parametrize("base", BASES)
def test_an_owner_lists_and_deletes_what_is_its_own(keyed_server: Server, base: str) -> None:
    """A run, and a session with the runs of it; what is left to others stays."""
    alpha, beta = ({"Authorization": f"Bearer {key}"} for key in ("alpha", "beta"))

    def ask(owner: dict[str, str], session: str) -> Any:
        asked = {"query": "count to a hundred", "sessionId": session}
        return keyed_server.ask(data=asked, headers=owner).json()

    def list_runs(owner: dict[str, str]) -> list[str]:
        return [one["runId"] for one in keyed_server.ask(base, headers=owner).json()["runs"]]

    first = ask(alpha, "")
    second, alone, others = ask(alpha, first["sessionId"]), ask(alpha, ""), ask(beta, "")
    assert list_runs(alpha)[:3] == [one["runId"] for one in (alone, second, first)]
    run = f"{base}/{alone['runId']}"
    assert keyed_server.ask(run, method="DELETE").status == 401
    deleted = keyed_server.ask(run, method="DELETE", headers=alpha)
    assert (deleted.status, deleted.body) == (204, b"")
    for path, method in [("", "GET"), ("", "DELETE"), ("/events", "GET"), ("/stop", "POST")]:
        assert keyed_server.ask(run + path, method=method, headers=alpha).status == 404
    session = f"{base.removesuffix('/runs')}/sessions/{first['sessionId']}"
    assert keyed_server.ask(session, method="DELETE", headers=beta).status == 404
    assert keyed_server.ask(session, method="DELETE", headers=alpha).status == 204
    assert keyed_server.ask(session, method="DELETE", headers=alpha).status == 404
    kept = list_runs(alpha)
    assert not {one["runId"] for one in (first, second, alone)} & set(kept)
    assert others["runId"] in list_runs(beta)
    assert keyed_server.ask(f"{base}?limit=0", headers=alpha).status == 400
    assert keyed_server.ask(f"{base}?limit=1", headers=beta).json()["runs"] != []


def test_without_keys_who_has_the_id_deletes_and_no_run_is_listed(server: Server) -> None:
    """As who has the id reads."""
    asked = {"query": "count to a hundred", "sessionId": ""}
    result = server.ask(data=asked).json()
    assert server.ask("/api/chat/runs").status == 403
    assert server.ask("/api/chat/sessions/alice", method="DELETE").status == 404
    session = f"/api/chat/sessions/{result['sessionId']}"
    assert server.ask(session, method="DELETE").status == 204
    assert server.ask(f"/api/chat/runs/{result['runId']}").status == 404
    # A page that is not ours needs to ask first, and is told no.
    evil = {"Origin": "https://evil.example"}
    run = server.stream("count to a hundred").header("X-Run-Id")
    assert server.ask(f"/api/chat/runs/{run}", method="DELETE", headers=evil).status == 403
    asked_first = {**evil, "Access-Control-Request-Method": "DELETE"}
    refused = server.ask(f"/api/chat/runs/{run}", method="OPTIONS", headers=asked_first)
    assert refused.header("Access-Control-Allow-Origin") is None
    assert server.ask(f"/api/chat/runs/{run}").status == 200
