"""The shipped prices are those of the pinned list, and a model is found where it is asked."""

import json
from datetime import UTC, datetime

import pytest

from deploy.prices import _translate_regex, build_table, format_table, list_models
from services.chat.prices import SHIPPED_PRICES, read_prices

BEDROCK = "https://bedrock-runtime.eu-central-1.amazonaws.com/"


def test_the_shipped_table_has_not_drifted_from_the_list() -> None:
    """`make prices` writes it again after `genai-prices` was updated."""
    shipped = json.loads(SHIPPED_PRICES.read_text(encoding="utf-8"))
    day = datetime.fromisoformat(shipped["asOf"]).replace(hour=12, tzinfo=UTC)
    built = build_table(day)
    assert {name: shipped[name] for name in built} == built
    assert format_table(shipped) == SHIPPED_PRICES.read_text(encoding="utf-8")
    assert len(list(list_models(shipped))) > 1000


@pytest.mark.parametrize(
    ("model", "at", "dollars"),
    [
        # Checked on 2026-11-30 against public reports of the services' own pages:
        # redpanda-data/ai-sdk-go#166 (AWS's price list) and HeyPuter/puter#3580 (OpenAI's).
        ("global.amazon.nova-2-lite-v1:0", BEDROCK, (0.3, 2.5)),
        ("gpt-5.6-luna", "https://api.openai.com/v1", (0.2, 1.2)),
        # A regional profile costs a tenth more.
        ("eu.amazon.nova-2-lite-v1:0", BEDROCK, (0.33, 2.75)),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", BEDROCK, (3.3, 16.5)),
        ("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-5-5",
         BEDROCK, (2.2, 11.0)),
        # A gateway asks OpenAI's prices for OpenAI's names; the same name elsewhere has its own.
        ("gpt-4.1-mini", "http://localhost:4000/v1", (0.4, 1.6)),
        ("llama3.2", "http://localhost:11434/v1", None),
        ("gpt-6-luna-2026-09-22", "https://api.openai.com/v1", (0.1, 0.5)),
    ],
)  # fmt: skip
def test_a_model_has_the_price_of_its_service(
    model: str, at: str, dollars: tuple[float, float] | None
) -> None:
    """By its name and the address that is asked."""
    price = read_prices(at=at).find(model)
    assert (None if price is None else (price.input, price.output)) == dollars


def test_what_cannot_be_said_as_a_pattern_is_left_out() -> None:
    """Dates can; alternatives cannot, and a wrong price is worse than none."""
    assert _translate_regex(r"^gpt-6\.1-sol-\d{4}-\d{2}$") == (
        "gpt-6.1-sol-[0-9][0-9][0-9][0-9]-[0-9][0-9]"
    )
    assert _translate_regex("^a(b|c)$") == _translate_regex("open") == ""
