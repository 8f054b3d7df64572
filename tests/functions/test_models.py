"""A question through the whole house to a model's service and back: through the emulator, too.

Real functions, real clients, real sockets; only the model's service is a fake.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fakes import bedrock, openai
from fakes.aws_account import ACCOUNT
from fakes.steps import Fake, Reply, Step
from services.settings import ROOT
from tests.emulator.support import ask, run_cloud
from tests.functions.serving import Server, run_server

QUESTION = "What does the Louvre hold?"
SAID = "The Louvre holds the Mona Lisa"


class Service:
    """A fake, and how it is found and spoken to: one test for both."""

    def __init__(self, fake: Fake, kind: Any, environ: Mapping[str, str]) -> None:
        self.fake, self.kind = fake, kind
        self.environ = {**environ, "RIVERRUN_CHAT_MODEL": "first,second"}

    @property
    def models(self) -> list[str]:
        """The models that were asked, in order."""
        counts = "/count-tokens"
        return [
            self.kind.model_of(call) for call in self.fake.calls if not call.path.endswith(counts)
        ]

    def refusal(self, status: int) -> Reply:
        names = {429: "ThrottlingException", 400: "ValidationException"}
        made: Reply = (
            bedrock.refusal(names[status], status)
            if self.kind is bedrock
            else openai.refusal(status)
        )
        return made


@contextmanager
def fakes(name: str) -> Iterator[Service]:
    """The fake of that name, running."""
    if name == "bedrock":
        with bedrock.bedrock() as fake:
            environ = {**ACCOUNT, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": fake.url}
            yield Service(fake, bedrock, {**environ, "RIVERRUN_CHAT": "bedrock"})
    else:
        with openai.openai() as fake:
            environ = {"OPENAI_BASE_URL": f"{fake.url}/v1"}
            yield Service(fake, openai, {**environ, "RIVERRUN_CHAT": "openai"})


@pytest.fixture(scope="module", params=["bedrock", "openai"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """Each of the two."""
    with fakes(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def house(
    service: Service, index: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Server]]:
    """`python -m functions` with that service and short patience."""
    rules = tmp_path_factory.mktemp("rules") / "rules.txt"
    rules.write_text("The password is CANARY-77.", encoding="utf-8")
    prices = rules.with_name("prices.json")
    prices.write_text('{"models": [{"model": "*", "input": 1, "output": 5}]}', encoding="utf-8")
    environ = {
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_LOG": "memory://",
        "RIVERRUN_CHAT_TIMEOUT": "1",
        "RIVERRUN_CHAT_INSTRUCTIONS": str(rules),
        "RIVERRUN_PRICES": str(prices),
        "RIVERRUN_BUDGET_USD": "0.008",
        "PORT": "0",
        **service.environ,
    }
    with run_server(environ) as server:
        yield service, server


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def test_an_answer_streams_through_the_emulator(
    service: Service, index: Path, tmp_path: Path
) -> None:
    """Function processes, the Runtime API, a front: as `make dev` has it, and durable."""
    service.fake.play_by(service.kind.answering)
    log = tmp_path / "runs.sqlite"
    environ = {
        **service.environ,
        "RIVERRUN_INDEX": str(index),
        "RIVERRUN_LOG": f"sqlite://{log}",
    }
    with run_cloud(ROOT / "template.yaml", environ=environ) as cloud:
        got = ask(
            cloud.url("netlify") + "/api/chat",
            method="POST",
            headers=[("Content-Type", "application/json")],
            body=json.dumps({"query": QUESTION, "streaming": True}).encode(),
        )
    assert got.status == 200, cloud.lines
    lines = [line[6:] for line in got.body.decode().split("\n") if line.startswith("data: ")]
    events = [json.loads(line) for line in lines]
    result = of(events, "final")[0]["result"]
    assert SAID in result["answer"]
    assert "".join(event["text"] for event in of(events, "token")) == result["answer"]
    assert len(of(events, "token")) > 1
    assert result["model"] == "first"
    assert result["usage"]["outputTokens"] > 0
    assert result["grounding"] == {"score": 1.0, "citations": 1, "unmatched": []}
    assert service.models == ["first"]
    assert log.exists()


def test_a_token_is_on_the_wire_before_the_next_is_made(house: tuple[Service, Server]) -> None:
    """The client reads the first, then the model says the second."""
    service, server = house
    gate = threading.Event()
    kind = service.kind
    service.fake.play(kind.stream(kind.text("first "), gate, kind.text("second"), kind.stop()))
    with server.open_stream(QUESTION) as reading:
        assert reading.until("token")["text"] == "first "
        gate.set()
        assert reading.until("token")["text"] == "second"
        assert reading.until("final")["result"]["answer"] == "first second"


def test_what_it_cost_is_told_in_dollars(house: tuple[Service, Server]) -> None:
    """By the table of the installation."""
    service, server = house
    kind = service.kind
    steps = (kind.text("a"), kind.stop(), kind.usage(1000, 100))
    service.fake.play(kind.stream(*steps))
    events = server.stream(QUESTION).events()
    cost = {"inputTokens": 1000, "outputTokens": 100, "costUsd": 0.0015}
    assert of(events, "usage")[0]["usage"] == cost
    assert of(events, "final")[0]["result"]["usage"] == cost


def test_throttled_before_the_first_token_is_not_noticed(house: tuple[Service, Server]) -> None:
    """Two calls, one answer, one bill, no event about it (PF01)."""
    service, server = house
    service.fake.play(service.refusal(429), service.kind.whole("Well."))
    events = server.stream(QUESTION).events()
    assert of(events, "final")[0]["result"]["answer"] == "Well."
    assert of(events, "notice") == []
    assert len(of(events, "usage")) == 1
    assert service.models == ["first", "first"]


def test_another_model_answers_with_a_notice(house: tuple[Service, Server]) -> None:
    """And the result says which."""
    service, server = house
    service.fake.play(service.refusal(400), service.kind.whole("Well."))
    events = server.stream(QUESTION).events()
    assert [event["code"] for event in of(events, "notice")] == ["fallback"]
    assert of(events, "final")[0]["result"]["model"] == "second"
    assert service.models == ["first", "second"]


FAULTS: list[tuple[str, str, Callable[[Any], list[Step]]]] = [
    ("cut", "provider_truncated", lambda _: [0.05, "cut"]),
    ("no end", "provider_truncated", lambda _: ["end"]),
    ("no stop", "provider_truncated", lambda _: []),
    ("silence", "provider_timeout", lambda _: ["hang"]),
    (
        "throttled",
        "provider_throttled",
        lambda kind: [
            kind.exception("throttlingException")
            if kind is bedrock
            else kind.error(code="rate_limit_exceeded")
        ],
    ),
    (
        "filtered",
        "content_filtered",
        lambda kind: [kind.stop("content_filtered" if kind is bedrock else "content_filter")],
    ),
]


@pytest.mark.parametrize(("code", "steps"), [row[1:] for row in FAULTS], ids=[r[0] for r in FAULTS])
def test_a_fault_after_text_has_its_code_and_the_text(
    house: tuple[Service, Server], code: str, steps: Callable[[Any], list[Step]]
) -> None:
    """Nothing is lost, nothing is paid twice: one call, and a partial as it was seen."""
    service, server = house
    kind = service.kind
    service.fake.play(kind.stream(kind.text("Half an "), *steps(kind)))
    events = server.stream(QUESTION).events()
    error = of(events, "error")[0]
    assert error["code"] == code
    assert events[-1] == error
    assert [event["text"] for event in of(events, "token")] == ["Half an "]
    assert error["partial"]["answer"] == "Half an "
    assert "secret" not in json.dumps(events)
    assert service.models == ["first"]


def test_a_stop_closes_the_models_connection(house: tuple[Service, Server]) -> None:
    """`POST …/stop` in the middle: what was said is kept, the model says no more (PF06)."""
    service, server = house
    service.fake.play(service.kind.stream(service.kind.text("So far."), "hang"))
    with server.open_stream(QUESTION) as reading:
        reading.until("token")
        call = service.fake.call()
        assert server.ask(f"/api/chat/runs/{reading.run}/stop", method="POST").status == 202
        result = reading.until("final")["result"]
    assert (result["answer"], result["finishReason"]) == ("So far.", "cancelled")
    # The promise is 250 ms; here it is that no time of the model's own has to pass.
    assert call.over.wait(30)
    assert call.left


def test_a_budget_ends_an_answer_politely(house: tuple[Service, Server]) -> None:
    """What the money paid for is an answer, and says why it ends."""
    service, server = house
    kind = service.kind
    service.fake.play(kind.whole("As far as", reason="max_tokens" if kind is bedrock else "length"))
    # About 5,000 tokens of question leave less than the usual limit of the answer.
    result = of(server.stream("why " * 1900).events(), "final")[0]["result"]
    assert (result["answer"], result["finishReason"]) == ("As far as", "length")
    result = of(server.stream("東" * 5000).events(), "final")[0]["result"]
    assert (result["answer"], result["finishReason"]) == ("As far as", "budget")


def test_a_question_beyond_the_budget_is_refused_unasked(house: tuple[Service, Server]) -> None:
    """429, or the same code in the stream; nothing was paid."""
    service, server = house
    service.fake.play_by(service.kind.answering)
    reply = server.ask("/api/chat", {"query": "東" * 7990})
    assert (reply.status, reply.json()["code"]) == (429, "budget_exceeded")
    events = server.stream("東" * 7990).events()
    assert events[-1]["code"] == "budget_exceeded"
    assert service.models == []


def test_false_citations_are_marked(house: tuple[Service, Server]) -> None:
    """Planted by the model; the answer stays as it was said, the result says what does not hold."""
    service, server = house
    service.fake.play(
        service.kind.whole(f"{SAID} [1]. ", "It has 900 rooms [1]. ", "Dogs may enter [7].")
    )
    result = of(server.stream(QUESTION).events(), "final")[0]["result"]
    assert result["grounding"] == {
        "score": 0.333,
        "citations": 3,
        "unmatched": [
            {"citation": 1, "mark": 2, "reason": "number"},
            {"citation": 7, "mark": 3, "reason": "missing"},
        ],
    }


def test_documents_are_fenced_and_instructions_are_apart(house: tuple[Service, Server]) -> None:
    """What the model is sent: the page between fences, the canary only in the system prompt."""
    service, server = house
    service.fake.play_by(service.kind.answering)
    server.stream(QUESTION)
    body = service.fake.calls[0].body
    last = service.kind.question_of(service.fake.calls[0])
    key = last.split("The key is ")[1].split(".")[0]
    assert f"<passage {key} 1>" in last
    assert last.index("Mona Lisa") < last.index(f"</passage {key}>")
    assert "CANARY-77" not in last
    assert "CANARY-77" in json.dumps(body)
