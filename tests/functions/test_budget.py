"""What a run may cost, through functions that end before their answer: a real log, real sockets.

Only the model's service is a fake: it says what it is told, and hangs until the function ends.
"""

import json
import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from fakes import bedrock
from fakes.aws_account import ACCOUNT
from fakes.steps import Call, Reply
from services.chat.prompt import estimate_tokens
from tests.functions.hosts import run_host
from tests.functions.reading_on import Answer, go_on, read_body

BUDGET, IN, OUT = 0.003, 1.0, 5.0
LITTLE, MUCH = "A little of it, ", "東" * 2000
REST = "and as far as it goes."


def words(call: Call) -> list[str]:
    """What a call sends a model, text by text."""
    body = call.body
    blocks = [*body["system"], *(b for message in body["messages"] for b in message["content"])]
    return [block["text"] for block in blocks]


def model(call: Call) -> Reply:
    """A model that hangs in the middle, and goes on until it has no tokens left."""
    if len(call.body["messages"]) > 1:
        return bedrock.whole(REST, reason="max_tokens")
    said = MUCH if "Tell all" in bedrock.question_of(call) else LITTLE
    return bedrock.stream(bedrock.START, bedrock.text(said), "hang")


def make_body(query: str) -> bytes:
    return json.dumps({"query": query, "streaming": True, "resume": True}).encode()


def test_a_budget_is_the_runs_whichever_process_goes_on_with_it(
    tmp_path: Path, index: Path
) -> None:
    """One goes on with what is left and ends politely; of the other nothing is asked any more."""
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"models": [{"model": "*", "input": IN, "output": OUT}]}))
    with bedrock.bedrock() as fake:
        fake.play_by(model)
        environ = {
            **ACCOUNT,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": fake.url,
            "RIVERRUN_CHAT": "bedrock",
            "RIVERRUN_CHAT_MODEL": "m",
            "RIVERRUN_PRICES": str(prices),
            "RIVERRUN_BUDGET_USD": str(BUDGET),
        }
        with run_host(
            "function", tmp_path, index, [], timeout=60, environ=environ, concurrency=16
        ) as started:
            url = started.url("url chat")
            little, much = Answer(), Answer()
            with ThreadPoolExecutor(2) as threads:
                ask = partial(read_body, url=url, method="POST", target="/api/chat")
                bodies = [threads.submit(ask, little, data=make_body("Tell some of the Louvre")),
                          threads.submit(ask, much, data=make_body("Tell all of it"))]  # fmt: skip
                while not (little.text and much.text) and not any(map(Future.done, bodies)):
                    time.sleep(0.02)
                (sandbox,) = started.cloud.functions["chat"].sandboxes
                os.kill(sandbox.pid, signal.SIGTERM)
            for answer in (little, much):
                go_on(answer, url, 30)
            lines = "\n".join(started.lines)
    for answer in (little, much):
        answer.check()
        first, *_ = answer.bodies
        assert first.paused is not None, lines
        assert answer.last["result"]["finishReason"] == "budget", answer.last
    (some,) = [call for call in fake.calls if _begins(call, "some")]
    (whole,) = [call for call in fake.calls if _begins(call, "all")]
    (more,) = [call for call in fake.calls if call not in (some, whole)]
    took = estimate_tokens(*words(some)), estimate_tokens(LITTLE)
    left = BUDGET * 1e6 - took[0] * IN - took[1] * OUT - estimate_tokens(*words(more)) * IN
    assert more.body["inferenceConfig"]["maxTokens"] == int(left / OUT) < 1024
    assert little.last["result"]["answer"] == LITTLE + REST
    # The fake counts ten tokens in and one a piece.
    check_bill(little, took[0] + 10, took[1] + 1)
    assert much.last["result"]["answer"] == MUCH
    check_bill(much, estimate_tokens(*words(whole)), estimate_tokens(MUCH))


def _begins(call: Call, word: str) -> bool:
    return len(call.body["messages"]) == 1 and f"Tell {word} " in bedrock.question_of(call)


def check_bill(answer: Answer, estimate_prompt_tokens: int, tokens_out: int) -> None:
    """The result and the last usage that was told are the whole run's."""
    usage = answer.last["result"]["usage"]
    assert (usage["inputTokens"], usage["outputTokens"]) == (estimate_prompt_tokens, tokens_out)
    assert usage["costUsd"] == pytest.approx(
        (estimate_prompt_tokens * IN + tokens_out * OUT) / 1e6, abs=1e-9
    )
    assert [event["usage"] for event in answer.events if event["type"] == "usage"][-1] == usage
