"""The clients our users already have, under Node and bash, against the server and the emulator."""

import json
import shutil
import subprocess

import pytest

from tests.functions.serving import Server
from tests.functions.snippets.hearing import Ears, needs_node

ANSWER = "The Louvre, é\U0001f5fc."
HUNDRED = "".join(f"{n} " for n in range(1, 101))
BASES = ["/api/chat", "/.netlify/functions/chat"]

needs_shell = pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("curl") is None,
    reason="bash and curl are not both on the PATH",
)


@pytest.mark.node
@needs_node
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("what", ["fetch", "eventSource"])
@pytest.mark.parametrize(
    "asked", [("What is there in Paris? é&+%", ANSWER), ("count to a hundred", HUNDRED)]
)
def test_a_client_hears_every_status_and_one_result(
    server: Server, hear: Ears, what: str, base: str, asked: tuple[str, str]
) -> None:
    """By fetch and by EventSource, at both addresses; nothing is lost on the way."""
    query, answer = asked
    told = hear(server, what, query, base)
    assert [result["answer"] for result in told["finals"]] == [answer]
    assert (told["errors"], told["lost"], told["trouble"]) == ([], 0, 0)
    assert {status["step"] for status in told["statuses"]} == {1, 2, 3}
    for status in told["statuses"]:
        assert isinstance(status["description"], str)
        assert status["status"] in ("pending", "executing", "completed", "failed")
        assert status["timestamp"] > 1_600_000_000_000


@pytest.mark.node
@needs_node
@pytest.mark.parametrize("what", ["fetch", "eventSource"])
@pytest.mark.parametrize("query", ["fail late", "fail with provider_timeout", "break off"])
def test_a_client_hears_one_error_that_is_a_string(
    server: Server, hear: Ears, what: str, query: str
) -> None:
    """And no result beside it."""
    told = hear(server, what, query)
    assert told["finals"] == []
    assert len(told["errors"]) == 1
    assert isinstance(told["errors"][0], str)
    assert "undefined" not in told["errors"][0]
    assert "[object" not in told["errors"][0]


@pytest.mark.node
@needs_node
def test_a_refused_question_is_an_http_error(server: Server, hear: Ears) -> None:
    """Before the stream there is a status, and each client sees it in its way."""
    assert hear(server, "fetch", " ")["errors"] == ["HTTP 422"]
    told = hear(server, "eventSource", " ")
    assert (told["trouble"], told["errors"]) == (1, [])


@pytest.mark.node
@needs_node
def test_an_event_source_that_reconnects_is_told_to_stop(server: Server, hear: Ears) -> None:
    """The end of a stream is a reconnect to a browser; 204 is the end of that."""
    told = hear(server, "patient", "What is there in Paris?")
    assert [result["answer"] for result in told["finals"]] == [ANSWER]
    (first, nothing), (second, last_id) = told["requests"]
    assert (first, nothing, second) == (200, "", 204)
    assert last_id.startswith(told["finals"][0]["runId"] + "-")


@pytest.mark.node
@needs_node
def test_a_retrying_client_asks_again_only_where_it_was_refused(server: Server, hear: Ears) -> None:
    """An error in the stream is shown once; an HTTP status is tried three times."""
    worked = hear(server, "retries", "What is there in Paris?")
    assert (worked["attempts"], worked["finals"][0]["answer"]) == (1, ANSWER)
    failed = hear(server, "retries", "fail late")
    assert (failed["attempts"], len(failed["errors"]), failed["lost"]) == (1, 1, 1)
    refused = hear(server, "retries", " ")
    assert (refused["attempts"], refused["waits"]) == (3, [2000, 4000])
    assert refused["thrown"] == "HTTP 422"


@pytest.mark.node
@needs_node
def test_a_client_that_counts_gets_its_sums_right(server: Server, hear: Ears) -> None:
    """Two that work and one that does not."""
    report = hear(server, "analytics", "Paris?|fail late|count to a hundred")["report"]
    assert (report["streams"], report["successes"], report["errors"]) == (3, 2, 1)
    assert report["successRate"] == "66.67%"
    assert report["events"] >= 9
    assert report["meanDuration"] >= 0


@pytest.mark.node
@needs_node
def test_a_hook_ends_up_with_the_result_or_the_error(server: Server, hear: Ears) -> None:
    """And is streaming for exactly as long as it streams."""
    told = hear(server, "hook", "What is there in Paris?")
    assert told["during"] == {"status": None, "result": None, "error": None, "streaming": True}
    after = told["after"]
    assert (after["result"]["answer"], after["error"], after["streaming"]) == (ANSWER, None, False)
    assert after["status"]["status"] == "completed"
    failed = hear(server, "hook", "fail late")["after"]
    assert (failed["result"], failed["streaming"]) == (None, False)
    assert isinstance(failed["error"], str)


LOOP = r"""
curl -s -N -X POST "$1" -H 'Content-Type: application/json' \
  -d '{"query": "What is there in Paris?", "streaming": true}' --no-buffer |
while IFS= read -r line; do
  if [[ $line == data:* ]]; then echo "Event: ${line#data: }"; fi
done
"""


@needs_shell
@pytest.mark.parametrize("base", BASES)
def test_a_shell_loop_reads_the_stream_line_by_line(server: Server, base: str) -> None:
    """curl and `while read`, with nothing in between."""
    done = subprocess.run(
        ["bash", "-c", LOOP, "loop", server.url + base],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert all(line.startswith("Event: {") for line in lines)
    events = [json.loads(line.removeprefix("Event: ")) for line in lines]
    assert events[0]["type"] == "status"
    assert events[-1]["result"]["answer"] == ANSWER
