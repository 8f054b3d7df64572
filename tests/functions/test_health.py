"""`/api/health` over real sockets."""

import pytest

from tests.functions.serving import Server


@pytest.mark.parametrize("base", ["/api/health", "/.netlify/functions/health"])
def test_a_server_that_runs_is_ready(server: Server, base: str) -> None:
    """And says which parts it looked at."""
    reply = server.ask(base)
    assert reply.status == 200
    assert reply.json() == {
        "status": "ok",
        "host": "server",
        "checks": {"runs": "ok", "context": "ok", "chat": "ok"},
    }
    assert reply.header("Cache-Control") == "no-store"


def test_health_is_only_looked_at(server: Server) -> None:
    """405 with Allow for the rest."""
    reply = server.ask("/api/health", b"{}")
    assert (reply.status, reply.header("Allow")) == (405, "GET, OPTIONS")
