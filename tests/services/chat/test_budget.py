"""Budgets before, bills after; prices from one dated file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.chat import ModelUsage, Piece, Prompt, Stop, Text, UnbilledCall
from services.chat.budget import Budget, BudgetedProvider, BudgetError
from services.chat.prices import SHIPPED_PRICES, Price, read_prices
from services.chat.prompt import estimate_prompt_tokens, estimate_tokens
from services.chat.provider import ThoughtText
from services.chat.provider_errors import make_chat_error
from services.errors import SetupError
from tests.services.chat.conformance import collect, outcome
from tests.services.chat.providers.bag import passage
from tests.services.chat.test_retry import Takes

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Why?", (passage("Why?", "Sky", "The sky is blue."),), max_tokens=1000)
PRICE = Price(input=1.0, output=10.0, cached=0.1, stored=2.0)
CUT: list[Piece | Exception] = [Text("a"), ModelUsage(500, 100, None), Stop("length")]


async def test_the_bill_has_its_price() -> None:
    """In US dollars; cached and stored tokens at their own."""
    model = Takes("m", [[Text("a"), ModelUsage(1000, 100, None, 400, 100), Stop("stop")]])
    _, bill, _ = await collect(BudgetedProvider(model, PRICE), PROMPT)
    assert bill == ModelUsage(1000, 100, 0.00174, 400, 100)


async def test_an_unknown_price_is_no_price() -> None:
    """No price is guessed; and a provider that knows its cost is believed."""
    _, bill, _ = await collect(BudgetedProvider(Takes("m", [CUT]), None), PROMPT)
    assert bill == ModelUsage(500, 100, None)
    known: list[Piece | Exception] = [Text("a"), ModelUsage(1, 1, 0.0), Stop("stop")]
    assert await collect(BudgetedProvider(Takes("m", [known]), PRICE), PROMPT) == known


async def test_without_a_budget_the_limit_is_the_prompts() -> None:
    """A cut is then a cut."""
    model = Takes("m", [CUT])
    assert (await collect(BudgetedProvider(model, PRICE), PROMPT))[-1] == Stop("length")
    assert model.prompts[0].max_tokens == 1000


@pytest.mark.parametrize(
    ("budget", "limit"),
    [(Budget(tokens=700), 700), (Budget(usd=0.005), 500), (Budget(usd=0.005, tokens=600), 600)],
)
async def test_a_budget_lowers_the_limit_and_names_the_end(budget: Budget, limit: int) -> None:
    """The model ends in time, so its answer is a partial and not an error."""
    model = Takes("m", [CUT])
    pieces = await collect(BudgetedProvider(model, PRICE, budget), PROMPT)
    assert pieces[0] == Text("a")
    assert pieces[-1] == Stop("budget")
    assert limit - estimate_prompt_tokens(PROMPT) <= model.prompts[0].max_tokens <= limit


async def test_an_answer_within_its_budget_is_whole() -> None:
    """A lowered limit that was not reached says nothing."""
    model = Takes("m", [[Text("a"), Stop("stop")]])
    assert (await collect(BudgetedProvider(model, PRICE, Budget(tokens=700)), PROMPT))[-1] == Stop(
        "stop"
    )


@pytest.mark.parametrize("budget", [Budget(tokens=50), Budget(usd=0.0001), Budget(usd=0.0)])
async def test_a_question_that_costs_it_all_is_refused_before_it_is_asked(budget: Budget) -> None:
    """Nothing is paid."""
    model = Takes("m", [CUT])
    with pytest.raises(BudgetError) as caught:
        await collect(BudgetedProvider(model, PRICE, budget), PROMPT)
    assert (caught.value.code, caught.value.retryable) == ("budget_exceeded", False)
    assert model.prompts == []


async def test_a_free_model_has_no_limit_in_dollars() -> None:
    """A price of nothing is known, too."""
    model = Takes("m", [[Text("a"), Stop("stop")]])
    await collect(BudgetedProvider(model, Price(0, 0, 0, 0), Budget(usd=0.01)), PROMPT)
    assert model.prompts[0].max_tokens == 1000


SPENT = ModelUsage(200, 30, 0.0007)


@pytest.mark.parametrize(
    ("budget", "less"),
    [(Budget(tokens=900), 230), (Budget(usd=0.008), 70)],
)
async def test_what_was_spent_is_taken_off(budget: Budget, less: int) -> None:
    """The usage stays the call's own: what was spent before has been reported."""
    limits = []
    for prompt in (PROMPT, replace(PROMPT, spent=SPENT)):
        model = Takes("m", [CUT])
        pieces = await collect(BudgetedProvider(model, PRICE, budget), prompt)
        assert (pieces[1], pieces[-1]) == (ModelUsage(500, 100, 0.0015), Stop("budget"))
        limits.append(model.prompts[0].max_tokens)
    assert limits[0] - limits[1] == pytest.approx(less, abs=1)


async def test_tokens_spent_at_a_price_nobody_knew_cost_what_they_cost_now() -> None:
    """An installation may have got its table in between."""
    limits = []
    for spent in (SPENT, replace(SPENT, cost_usd=None)):
        model = Takes("m", [CUT])
        metered = BudgetedProvider(model, replace(PRICE, input=2.0), Budget(usd=0.008))
        await collect(metered, replace(PROMPT, spent=spent))
        limits.append(model.prompts[0].max_tokens)
    assert limits == [limits[0], limits[0]]


UNBILLED = (UnbilledCall("", "The sky is "), UnbilledCall("The sky is ", "blue"))


async def test_calls_that_were_cut_are_estimated_first_and_on_the_bill() -> None:
    """Each with the words it was sent and the words it said, before anything is asked."""
    model = Takes("m", [[Text("."), ModelUsage(10, 1, None), Stop("stop")]])
    going_on = replace(PROMPT, so_far="The sky is blue", unbilled_calls=UNBILLED)
    asked = sum(estimate_prompt_tokens(replace(PROMPT, so_far=call.so_far)) for call in UNBILLED)
    said = sum(estimate_tokens(call.text) for call in UNBILLED)
    stream = BudgetedProvider(model, PRICE).stream(going_on)
    assert await anext(stream) == ModelUsage(asked, said, round((asked + 10 * said) / 1e6, 9))
    assert model.prompts == []
    rest = [piece async for piece in stream]
    assert isinstance(rest[1], ModelUsage)
    assert (rest[1].input_tokens, rest[1].output_tokens) == (asked + 10, said + 1)


@pytest.mark.parametrize(
    ("budget", "longest", "end"),
    [(Budget(tokens=300), 1000, "budget"), (Budget(usd=0.0), 1, "budget"),
     (Budget(usd=0.0), 1000, "budget"),
     (Budget(), 15, "length"), (Budget(tokens=9000), 15, "length")],
)  # fmt: skip
async def test_an_answer_that_may_not_go_on_is_what_was_said(
    budget: Budget, longest: int, end: Any
) -> None:
    """And the model is not asked."""
    model = Takes("m", [CUT])
    prompt = replace(PROMPT, so_far="So far, so good. " * 3, max_tokens=longest)
    assert await collect(BudgetedProvider(model, PRICE, budget), prompt) == [Stop(end)]
    assert model.prompts == []


@pytest.mark.parametrize("so_far", ["", " \n"])
async def test_nothing_said_is_no_answer_to_end_with(so_far: str) -> None:
    """What was spent is told, then the error."""
    model = Takes("m", [CUT])
    prompt = replace(PROMPT, so_far=so_far, unbilled_calls=(UnbilledCall("", ""),))
    pieces, error = await outcome(BudgetedProvider(model, PRICE, Budget(tokens=400)), prompt)
    assert isinstance(error, BudgetError)
    assert [type(piece) for piece in pieces] == [ModelUsage]
    assert "was spent" in error.message


async def test_going_on_has_what_is_left_of_the_answers_length() -> None:
    """That end is the length's, and no budget's."""
    model = Takes("m", [CUT])
    pieces = await collect(BudgetedProvider(model, PRICE), replace(PROMPT, so_far="a" * 350))
    assert model.prompts[0].max_tokens == 900
    assert pieces[-1] == Stop("length")


@pytest.mark.parametrize(
    ("tape", "paid"),
    [([Text("a"), Stop("stop")], True), ([Text("a")], True), ([], True),
     ([Text("a"), make_chat_error("provider_error")], True),
     ([Text("a"), ValueError("a bug")], True),
     ([make_chat_error("provider_timeout")], True),
     ([make_chat_error("provider_truncated")], True),
     ([make_chat_error("provider_throttled")], False),
     ([make_chat_error("context_too_long")], False),
     ([make_chat_error("provider_error")], False), ([SetupError("Set it.")], False)],
)  # fmt: skip
async def test_a_call_that_tells_no_bill_is_estimated(tape: Any, paid: bool) -> None:
    """One that was refused cost nothing; one that broke off, or was silent, did."""
    pieces, _ = await outcome(BudgetedProvider(Takes("m", [tape]), PRICE), PROMPT)
    asked, said = (
        estimate_prompt_tokens(PROMPT),
        estimate_tokens("a") if tape and tape[0] == Text("a") else 0,
    )
    bills = [piece for piece in pieces if isinstance(piece, ModelUsage)]
    cost = round((asked + 10 * said) / 1e6, 9)
    assert bills == ([ModelUsage(asked, said, cost)] if paid else [])


async def test_a_bill_that_was_told_is_believed_also_when_the_call_broke() -> None:
    """Nothing is added to it."""
    tape: list[Piece | Exception] = [
        Text("a"),
        ModelUsage(7, 3, None),
        make_chat_error("provider_truncated"),
    ]
    pieces, _ = await outcome(BudgetedProvider(Takes("m", [tape]), PRICE), PROMPT)
    assert [piece for piece in pieces if isinstance(piece, ModelUsage)] == [
        ModelUsage(7, 3, 0.000037)
    ]


def test_other_scripts_count_more() -> None:
    """A character of theirs is about a token."""
    latin, other = Prompt("a" * 350, ()), Prompt("東" * 350, ())
    assert estimate_prompt_tokens(other) - estimate_prompt_tokens(latin) == pytest.approx(
        250, abs=2
    )


def test_the_shipped_table_is_dated_and_knows_the_default_models() -> None:
    """One file, and it says as of when."""
    from services.chat.opening import BEDROCK_MODEL, OPENAI_MODEL

    assert json.loads(SHIPPED_PRICES.read_text(encoding="utf-8"))["asOf"] >= "2026-11-25"
    for model, at in (
        (BEDROCK_MODEL, "https://bedrock-runtime.us-east-1.amazonaws.com/"),
        (OPENAI_MODEL, "https://api.openai.com/v1"),
    ):
        price = read_prices(at=at).find(model)
        assert price is not None
        assert 0 < price.cached < price.input < price.output
    assert read_prices().find("vendor.unknown-v1:0") is None


def test_an_installation_has_its_own_table(tmp_path: Path) -> None:
    """The first line that fits; a cached token costs what it costs uncached unless said."""
    file = tmp_path / "prices.json"
    lines = [{"model": "a-*", "input": 1, "output": 2}, {"model": "*", "input": 0, "output": 0}]
    file.write_text(json.dumps({"models": lines}), encoding="utf-8")
    prices = read_prices(file)
    assert prices.find("a-b") == Price(1.0, 2.0, 1.0, 1.0, 1.0)
    assert prices.find("c") == Price(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "table",
    ["", "[]", "{}", {"models": [{}]}, {"models": [{"model": "m", "input": "1", "output": 2}]},
     {"models": [{"model": "m", "input": -1, "output": 2}]},
     {"models": [{"model": "m", "input": True, "output": 2}]}],
)  # fmt: skip
def test_a_table_that_is_none_is_refused(tmp_path: Path, table: Any) -> None:
    """In one sentence that shows what it should be."""
    file = tmp_path / "prices.json"
    file.write_text(table if isinstance(table, str) else json.dumps(table), encoding="utf-8")
    with pytest.raises(SetupError, match="is no price table"):
        read_prices(file)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(SetupError, match="cannot be read"):
        read_prices(tmp_path / "none.json")


THOUGHT = ThoughtText("hm, " * 200)  # 229 tokens, by the estimate


async def test_thoughts_are_reported_while_they_come_and_billed_once() -> None:
    """A process that ends leaves their cost behind; the service's own count replaces it."""
    tape: list[Piece | Exception] = [
        THOUGHT,
        THOUGHT,
        Text("a"),
        ModelUsage(500, 460, None),
        Stop("stop"),
    ]
    bills = [
        piece
        for piece in await collect(BudgetedProvider(Takes("m", [tape]), PRICE), PROMPT)
        if isinstance(piece, ModelUsage)
    ]
    assert [(bill.input_tokens, bill.output_tokens) for bill in bills] == [
        (0, 229), (0, 457), (500, 460),
    ]  # fmt: skip
    assert bills[1].reasoning_tokens == 457
    assert bills[1].cost_usd == PRICE.compute_cost(ModelUsage(0, 457, None))


async def test_a_call_that_broke_while_it_thought_is_billed_for_it() -> None:
    """Its words and its thoughts, by the estimate."""
    tape: list[Piece | Exception] = [THOUGHT, make_chat_error("provider_error")]
    seen, error = await outcome(BudgetedProvider(Takes("m", [tape]), PRICE), PROMPT)
    assert error is not None
    bill = seen[-1]
    assert isinstance(bill, ModelUsage)
    assert bill.input_tokens == estimate_prompt_tokens(PROMPT)
    assert bill.output_tokens == bill.reasoning_tokens == 229


async def test_a_budget_that_thoughts_have_used_up_is_the_cause_of_the_end() -> None:
    """Few words were said; what the model was allowed in all is what was left."""
    tape: list[Piece | Exception] = [
        THOUGHT,
        Text("a"),
        ModelUsage(500, 9000, None),
        Stop("length"),
    ]
    model = Takes("m", [tape])
    budget = Budget(tokens=estimate_prompt_tokens(PROMPT) + 9000)
    pieces = await collect(BudgetedProvider(model, PRICE, budget), PROMPT)
    assert pieces[-1] == Stop("budget")
    assert model.prompts[0].max_output_tokens == 9000
    assert model.prompts[0].limit_output(100_000) == 9000


@pytest.mark.parametrize(
    "claim",
    [
        ModelUsage(-1_000_000, 5, None),
        ModelUsage(10, -5, None),
        ModelUsage(10**12, 5, None),
        ModelUsage(10, 5, -3.0),
        ModelUsage(10, 5, float("nan")),
        ModelUsage(10, 5, float("inf")),
        ModelUsage(10, 5, None, cached_tokens=-(10**6)),
    ],
)
async def test_a_usage_that_cannot_be_is_no_bill(claim: ModelUsage) -> None:
    """It is estimated instead: no service can make room in a budget, nor use up a day's."""
    model = Takes("m", [[Text("A whole answer."), claim, Stop("stop")]])
    _, bill, _ = await collect(BudgetedProvider(model, PRICE), PROMPT)
    assert isinstance(bill, ModelUsage)
    assert 0 < bill.input_tokens < 1000
    assert 0 < bill.output_tokens < 100
    assert bill.cost_usd is not None
    assert 0 < bill.cost_usd < 0.01
