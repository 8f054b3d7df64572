"""What compatible services sent is read for what it is: never half an answer for a whole one."""

import logging
import re
from collections.abc import AsyncIterator, Iterator

import pytest

from fakes import openai as fake
from fakes.steps import Fake
from services.chat import ModelUsage, Prompt, Restart, Stop, Text
from services.chat.budget import BudgetedProvider
from services.chat.provider import Piece
from services.chat.providers.openai import OpenAIProvider
from services.chat.providers.thoughts import ThinkingPolicy
from services.chat.retry import RetryingProvider
from services.settings import ROOT
from tests.services.chat.conformance import outcome
from tests.services.chat.providers.bag import passage
from tests.services.chat.providers.quirks import Quirk
from tests.services.chat.providers.quirks_of_answers import ENDS, KEEP_ALIVES, THOUGHTS
from tests.services.chat.providers.quirks_of_refusals import ERRORS, PARAMETERS, SMALL, USAGE

pytestmark = pytest.mark.anyio

QUIRKS = [*ENDS, *KEEP_ALIVES, *THOUGHTS, *PARAMETERS, *ERRORS, *USAGE, *SMALL]

PROMPT = Prompt("Why?", (passage("Why?", "Sky", "The sky is blue because air scatters light."),))


@pytest.fixture(scope="module")
def running() -> Iterator[Fake]:
    """A fake endpoint for all cases."""
    with fake.openai() as started:
        yield started


@pytest.fixture
async def house(running: Fake, quirk: Quirk) -> AsyncIterator[RetryingProvider]:
    """A model behind that quirk, with its bill and its retries, which do not wait here."""
    running.play_by(quirk.answer)
    settings = {**quirk.settings}
    thinking = ThinkingPolicy(effort=settings.pop("effort", None), timeout=5.0)
    model = OpenAIProvider(
        model="tiny", base_url=f"{running.url}/v1", timeout=5.0, thinking=thinking, **settings
    )
    yield RetryingProvider([BudgetedProvider(model, None)], jitter=lambda: 0.0)
    await model.close()


def show(pieces: list[Piece]) -> str:
    """The text that a reader has in the end."""
    text = ""
    for piece in pieces:
        if isinstance(piece, Restart):
            text = ""
        elif isinstance(piece, Text):
            text += piece.text
    return text


@pytest.mark.parametrize("quirk", QUIRKS, ids=[quirk.name for quirk in QUIRKS])
async def test_a_quirk_is_read_for_what_it_is(
    quirk: Quirk, house: RetryingProvider, running: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    """Its text, its code, the calls it cost, its usage, and what the logger has of it."""
    with caplog.at_level(logging.INFO):
        pieces, error = await outcome(house, PROMPT)
    assert (error.code if error is not None else "") == quirk.code, error
    assert show(pieces) == quirk.text
    assert len(running.calls) == quirk.calls
    if not quirk.code:
        assert pieces[-1] == Stop(quirk.reason)  # type: ignore[arg-type]
    if quirk.usage is not None:
        usage = [piece for piece in pieces if isinstance(piece, ModelUsage)][-1]
        counted = (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens)
        assert counted == quirk.usage
    assert quirk.log in caplog.text
    if error is not None:
        assert "sk-" not in f"{error.message}{error.hint}{caplog.text}"


def test_the_manual_names_the_report_of_every_quirk() -> None:
    """The table of services in docs/models.md is complete."""
    manual = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    named = {report for quirk in QUIRKS for report in re.findall(r"[\w/-]+#\d+", quirk.source)}
    assert len(named) > 30
    assert sorted(report for report in named if report not in manual) == []
