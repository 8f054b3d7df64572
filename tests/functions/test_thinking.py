"""A model that thinks, through functions that end before it does: a real log, real sockets.

Only the model's service is a fake. Its thoughts are never shown; that it thinks is, and what it
cost is on the bill, also where a process ended before the service could say so.
"""

import json
from pathlib import Path

import pytest

from fakes import openai
from fakes.steps import Call, Reply, Step
from services.chat.prompt import estimate_tokens
from tests.functions.hosts import run_host
from tests.functions.reading_on import Answer, read_on

IN, OUT = 1.0, 5.0
HM = "hm, " * 200  # 229 tokens of thought, by the estimate
BEGINNING, REST = "The Louvre ", "holds the Mona Lisa."


def read_sent(call: Call) -> int:
    """The tokens that a call sends a model, by the estimate."""
    return estimate_tokens(*(message["content"] for message in call.body["messages"]))


class Model:
    """Thinks, is ended; thinks less, begins to answer, is ended; ends its answer."""

    def __init__(self, pause: float, thoughts: int) -> None:
        self._pause, self._thoughts = pause, thoughts

    def answer(self, call: Call) -> Reply:
        """Reply as the effort and the conversation ask for."""
        begun = len(call.body["messages"]) > 2
        if begun:
            return openai.whole(BEGINNING, REST)
        low = call.body["reasoning_effort"] == "low"
        steps: list[Step] = []
        for _ in range(2 if low else self._thoughts):
            steps += [openai.thought_text(HM), self._pause]
        if low:
            steps.append(openai.text(BEGINNING))
        return openai.stream(openai.START, *steps, "hang")


def environment(url: str, folder: Path) -> dict[str, str]:
    """The settings of a function that asks a model with a high effort."""
    prices = folder / "prices.json"
    prices.write_text(json.dumps({"models": [{"model": "*", "input": IN, "output": OUT}]}))
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "RIVERRUN_CHAT": "openai",
        "RIVERRUN_CHAT_MODEL": "m",
        "RIVERRUN_CHAT_EFFORT": "high",
        "RIVERRUN_PRICES": str(prices),
    }


def check(answer: Answer, calls: list[Call], thoughts: int) -> None:
    """One stream without a gap, no thought in it but that there are, and the whole bill."""
    answer.check()
    assert answer.text == BEGINNING + REST
    assert len(answer.bodies) >= 3
    assert "hm, " not in json.dumps(answer.events)
    efforts = [call.body["reasoning_effort"] for call in calls]
    assert efforts == ["high", "low", "low"]
    statuses = [event["status"] for event in answer.events if event["type"] == "status"]
    thinking = [event for event in statuses if "Thinking" in event["description"]]
    assert thinking
    assert all("thinkingMs" in event["data"] for event in thinking)
    first, second, _last = calls
    thought = round(len(HM) / 3.5 * thoughts) + round(len(HM) / 3.5 * 2)
    # The fake counts ten tokens in and one a piece.
    tokens_in = read_sent(first) + read_sent(second) + 10
    tokens_out = thought + estimate_tokens(BEGINNING) + 2
    usage = answer.last["result"]["usage"]
    assert (usage["inputTokens"], usage["outputTokens"]) == (tokens_in, tokens_out)
    assert usage["reasoningTokens"] == thought
    assert usage["costUsd"] == pytest.approx((tokens_in * IN + tokens_out * OUT) / 1e6, abs=1e-9)


@pytest.mark.parametrize("timeout", [8, pytest.param(10, marks=pytest.mark.soak)])
def test_a_thinking_model_outlives_its_functions(tmp_path: Path, index: Path, timeout: int) -> None:
    """It would think longer than they live, and has begun to answer when the next one ends."""
    with openai.openai() as fake:
        fake.play_by(Model(0.02, 5).answer)
        environ = environment(fake.url, tmp_path)
        with run_host("function", tmp_path, index, [], timeout=timeout, environ=environ) as started:
            answer = read_on(started.url("url chat"), "What is in the Louvre?")
    check(answer, fake.calls, 5)
