"""Budgets before, bills after; prices from one dated file."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.chat import Piece, Prompt, Stop, Text, Usage
from services.chat.metering import Budget, BudgetError, Metered, tokens_in
from services.chat.prices import SHIPPED, Price, read_prices
from services.errors import SetupError
from tests.services.chat.bag import passage
from tests.services.chat.conformance import collect
from tests.services.chat.test_retrying import Takes

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Why?", (passage("Why?", "Sky", "The sky is blue."),), max_tokens=1000)
PRICE = Price(input=1.0, output=10.0, cached=0.1, stored=2.0)
CUT: list[Piece | Exception] = [Text("a"), Usage(500, 100, None), Stop("length")]


async def test_the_bill_has_its_price() -> None:
    """In US dollars; cached and stored tokens at their own."""
    model = Takes("m", [[Text("a"), Usage(1000, 100, None, 400, 100), Stop("stop")]])
    _, bill, _ = await collect(Metered(model, PRICE), PROMPT)
    assert bill == Usage(1000, 100, 0.00174, 400, 100)


async def test_an_unknown_price_is_no_price() -> None:
    """Nobody guesses; and a provider that knows its cost is believed."""
    _, bill, _ = await collect(Metered(Takes("m", [CUT]), None), PROMPT)
    assert bill == Usage(500, 100, None)
    known: list[Piece | Exception] = [Usage(1, 1, 0.0), Stop("stop")]
    assert await collect(Metered(Takes("m", [known]), PRICE), PROMPT) == known


async def test_without_a_budget_the_limit_is_the_prompts() -> None:
    """A cut is then a cut."""
    model = Takes("m", [CUT])
    assert (await collect(Metered(model, PRICE), PROMPT))[-1] == Stop("length")
    assert model.prompts[0].max_tokens == 1000


@pytest.mark.parametrize(
    ("budget", "limit"),
    [(Budget(tokens=700), 700), (Budget(usd=0.005), 500), (Budget(usd=0.005, tokens=600), 600)],
)
async def test_a_budget_lowers_the_limit_and_names_the_end(budget: Budget, limit: int) -> None:
    """The model ends in time, so its answer is a partial and not an error."""
    model = Takes("m", [CUT])
    pieces = await collect(Metered(model, PRICE, budget), PROMPT)
    assert pieces[0] == Text("a")
    assert pieces[-1] == Stop("budget")
    assert limit - tokens_in(PROMPT) <= model.prompts[0].max_tokens <= limit


async def test_an_answer_within_its_budget_is_whole() -> None:
    """A lowered limit that was not reached says nothing."""
    model = Takes("m", [[Text("a"), Stop("stop")]])
    assert (await collect(Metered(model, PRICE, Budget(tokens=700)), PROMPT))[-1] == Stop("stop")


@pytest.mark.parametrize("budget", [Budget(tokens=50), Budget(usd=0.0001), Budget(usd=0.0)])
async def test_a_question_that_costs_it_all_is_refused_before_it_is_asked(budget: Budget) -> None:
    """Nothing is paid."""
    model = Takes("m", [CUT])
    with pytest.raises(BudgetError) as caught:
        await collect(Metered(model, PRICE, budget), PROMPT)
    assert (caught.value.code, caught.value.retryable) == ("budget_exceeded", False)
    assert model.prompts == []


async def test_a_free_model_has_no_limit_in_dollars() -> None:
    """A price of nothing is known, too."""
    model = Takes("m", [[Text("a"), Stop("stop")]])
    await collect(Metered(model, Price(0, 0, 0, 0), Budget(usd=0.01)), PROMPT)
    assert model.prompts[0].max_tokens == 1000


def test_other_scripts_count_more() -> None:
    """A character of theirs is about a token."""
    latin, other = Prompt("a" * 350, ()), Prompt("東" * 350, ())
    assert tokens_in(other) - tokens_in(latin) == pytest.approx(250, abs=2)


def test_the_shipped_table_is_dated_and_knows_the_default_models() -> None:
    """One file, and it says as of when."""
    from services.chat.opening import BEDROCK_MODEL, OPENAI_MODEL

    assert json.loads(SHIPPED.read_text(encoding="utf-8"))["asOf"] >= "2026-11-25"
    prices = read_prices()
    for model in (BEDROCK_MODEL, OPENAI_MODEL, "eu.anthropic.claude-haiku-4-5-20251001-v1:0"):
        price = prices.of(model)
        assert price is not None
        assert 0 < price.cached < price.input < price.output
    assert prices.of("somebody.unknown-v1:0") is None


def test_an_installation_has_its_own_table(tmp_path: Path) -> None:
    """The first line that fits; a cached token costs what it costs uncached unless said."""
    file = tmp_path / "prices.json"
    lines = [{"model": "a-*", "input": 1, "output": 2}, {"model": "*", "input": 0, "output": 0}]
    file.write_text(json.dumps({"models": lines}), encoding="utf-8")
    prices = read_prices(file)
    assert prices.of("a-b") == Price(1.0, 2.0, 1.0, 1.0)
    assert prices.of("c") == Price(0.0, 0.0, 0.0, 0.0)


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
