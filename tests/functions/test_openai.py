"""OpenAI's own Python library, unmodified, against the served functions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from services.settings import ROOT
from tests.functions.serving import Server, run_server

SCRIPT = [
    {"when": "fails late", "steps": [{"text": "Half"}, {"error": "provider_error"}]},
    {"when": "fails early", "steps": [{"error": "provider_error"}]},
    {"when": "hangs", "steps": [{"text": "So far"}, {"hang": True}]},
    {
        "when": "*",
        "steps": [
            {"text": "Four "},
            {"text": "crowns [1]."},
            {"usage": {"inputTokens": 9, "outputTokens": 4}},
        ],
    },
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`make serve` with a scripted model."""
    home: Path = tmp_path_factory.mktemp("openai")
    (home / "script.json").write_text(json.dumps(SCRIPT))
    environ = {
        "PORT": "0",
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(home / "script.json"),
        "RIVERRUN_LOG": "sqlite://",
        "RIVERRUN_DATA_DIR": str(home / "data"),
    }
    with run_server(environ) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    """The library, pointed here."""
    base = f"{server.url}/v1"
    with openai.OpenAI(base_url=base, api_key="none", max_retries=0, timeout=60) as made:
        yield made


def ask(client: openai.OpenAI, query: str, **more: Any) -> Any:
    messages: Any = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Where is Paris?"},
        {"role": "assistant", "content": "In France."},
        {"role": "user", "content": [{"type": "text", "text": query}]},
    ]
    return client.chat.completions.create(model="m", messages=messages, **more)


def test_a_chat_completion_is_streamed_with_its_statuses_and_usage(client: openai.OpenAI) -> None:
    """The text, one reason to finish, the usage that was asked for; statuses beside them."""
    chunks = list(ask(client, "What?", stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Four crowns [1]."
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 13
    events = [c.event for c in chunks if getattr(c, "event", None)]
    assert {event["type"] for event in events} == {"status", "source"}
    assert events[0]["data"]["description"]


def test_a_chat_completion_is_one_object_without_a_stream(client: openai.OpenAI) -> None:
    """Of the same kind of run."""
    whole = ask(client, "What?")
    assert whole.choices[0].message.content == "Four crowns [1]."
    assert whole.usage.prompt_tokens == 9


def test_no_failure_is_an_answer(client: openai.OpenAI) -> None:
    """Before the first word and in the middle of it, streamed or not, it is raised."""
    for streamed in (True, False):
        for query in ("fails early", "fails late"):
            with pytest.raises(openai.APIError) as caught:
                list(ask(client, query, stream=streamed))
            assert caught.value.code == "provider_error"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_is_not_there_is_refused_with_a_sentence(
    client: openai.OpenAI, more: dict[str, Any], field: str
) -> None:
    """Rather than answered as something else."""
    with pytest.raises(openai.APIStatusError, match=field):
        ask(client, "What?", **more)


def test_a_response_streams_and_can_be_read_again_from_any_number(client: openai.OpenAI) -> None:
    """The helper puts it together; `starting_after` gives the same events; retrieve the whole."""
    with client.responses.stream(model="m", input="What?") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == "Four crowns [1]."
    message: Any = final.output[0]
    assert message.content[0].annotations
    middle = events[len(events) // 2].sequence_number
    rest = list(client.responses.retrieve(final.id, stream=True, starting_after=middle))
    assert [e.sequence_number for e in rest] == list(range(middle + 1, len(events)))
    with client.responses.stream(response_id=final.id, starting_after=middle) as again:
        numbers = [event.sequence_number for event in again]
        assert again.get_final_response().output_text == final.output_text
    assert numbers == list(range(middle + 1, len(events)))
    assert client.responses.retrieve(final.id).output_text == final.output_text
    following = client.responses.create(model="m", input="And?", previous_response_id=final.id)
    assert following.status == "completed"


def test_a_response_is_cancelled_on_the_server(client: openai.OpenAI) -> None:
    """What was written stays, and its status says that it is not whole."""
    run = ""
    stream: Any = client.responses.create(model="m", input="hangs", stream=True)
    for event in stream:
        if event.type == "response.created":
            run = event.response.id
        if event.type == "response.output_text.delta":
            client.responses.cancel(run)
    assert event.type == "response.incomplete"
    assert event.response.status == "cancelled"
    assert client.responses.retrieve(run).output_text == "So far"


def test_a_failed_response_says_so_and_is_remembered(client: openai.OpenAI) -> None:
    """As an event that no client takes for success, and as an object."""
    events = list(client.responses.create(model="m", input="fails late", stream=True))
    assert events[-1].type == "response.failed"
    again = client.responses.retrieve(events[-1].response.id)
    assert (again.status, again.error is not None) == ("failed", True)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_" + "0" * 32)
    with pytest.raises(openai.APIStatusError, match="background"):
        client.responses.create(model="m", input="x", background=True)


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    """So that a front end has something to choose."""
    assert [model.id for model in client.models.list()] == ["riverrun"]
    assert client.models.retrieve("any/name").id == "any/name"


def test_a_question_with_a_key_is_answered_once(client: openai.OpenAI) -> None:
    """The library asks again by itself when a connection fails: the key joins the same run."""
    key = {"Idempotency-Key": "one question"}
    asked = [list(ask(client, "What?", stream=True, extra_headers=key)) for _ in range(2)]
    first, again = ([chunk.to_json() for chunk in chunks] for chunks in asked)
    assert first == again
    with pytest.raises(openai.ConflictError):
        ask(client, "Something else?", extra_headers=key)


def test_a_chat_of_the_ai_sdk_is_read_on_and_stopped_by_its_id(server: Server) -> None:
    """The stream of a chat begins at its beginning; one that is over answers 204."""
    part = {"type": "text", "text": "hangs"}
    body = {"id": "chat 1", "messages": [{"id": "1", "role": "user", "parts": [part]}]}
    url = f"{server.url}/api/ui/chat"
    with httpx2.Client(timeout=60) as http, http.stream("POST", url, json=body) as first:
        assert first.headers["x-vercel-ai-ui-message-stream"] == "v1"
        lines = first.iter_lines()
        seen = next(line for line in lines if "So far" in line)
        with http.stream("GET", f"{url}/chat%201/stream") as second:
            again = second.iter_lines()
            assert "start" in next(again)
            assert next(line for line in again if "So far" in line) == seen
            assert http.post(f"{url}/chat%201/stop", json={}).status_code == 202
        assert [line for line in lines if line][-2:][0].startswith('data: {"type":"abort"')
        assert http.get(f"{url}/chat%201/stream").status_code == 204
        assert http.get(f"{url}/other/stream").status_code == 204
        refused = http.post(url, json={"id": "c", "messages": []})
        assert (refused.status_code, refused.headers["content-type"][:10]) == (422, "text/plain")


def test_the_lines_of_the_manual_run(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """As docs/openai.md has them, with the address of the server that is tested."""
    manual = (ROOT / "docs" / "openai.md").read_text(encoding="utf-8")
    lines = manual.split("```python\n")[1].split("```")[0]
    exec(lines.replace("http://localhost:8888", server.url), {})
    assert capsys.readouterr().out == "Four crowns [1]."
