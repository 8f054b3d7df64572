"""Keep an answer within its budget, and say what it cost.

Wraps one model. The limit on the answer is lowered to what the budget still pays, so the model
itself ends in time and its last sentence arrives; nothing is paid and thrown away. A call whose
service did not report its usage is estimated, rather too high than too low.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from ..errors import RiverrunError
from ..progress import Report, no_report
from .prices import MILLION, Price
from .prompt import render_prompt
from .provider import ZERO_USAGE, ChatProvider, Piece, Prompt, Stop, Text, Usage

# Characters a token, on the careful side for prose in Latin script; others are denser.
CHARACTERS_PER_TOKEN = 3.5
CHARACTERS_PER_TOKEN_OTHERWISE = 1.0

# An answer of fewer tokens is no answer: then the question alone uses up the budget.
MIN_ANSWER_TOKENS = 16

# A call that fails with one of these codes before any text had begun its work. Any other failure
# before any text is a refusal, which no service charges for.
BILLED_FAILURES = frozenset({"provider_timeout", "provider_truncated"})


class BudgetError(RiverrunError):
    """The question and its passages alone would cost more than is left of what a run may."""

    code = "budget_exceeded"

    def __init__(self, *, again: bool) -> None:
        if again:
            message = "What this answer may cost was spent before any of it was said."
            hint = "Ask again, or for less at once."
        else:
            message = "This question and its passages would cost more than one answer may."
            hint = "Shorten the question, lower top_k, or start a new conversation."
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one run may take in all its calls: US dollars, tokens in and out together, no limit."""

    usd: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetedProvider:
    """`provider`, with its cost counted. `price` None is unknown: usage then has tokens only."""

    provider: ChatProvider
    price: Price | None
    budget: Budget = Budget()

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.provider.model

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        """Answer as long as the budget pays: then ``Stop("budget")``.

        The usage is that of `prompt.unbilled_calls` and of this call; `prompt.spent` has been
        reported before.
        Where no budget is left to continue, the text so far is the
        answer, and no model is asked. Raises `BudgetError` before any call when there is no text.
        """
        before = ZERO_USAGE
        if prompt.unbilled_calls:
            for unbilled in prompt.unbilled_calls:
                asked = replace(prompt, so_far=unbilled.so_far)
                before += self._estimate_usage(asked, unbilled.text)
            yield before
        longest = prompt.max_tokens - estimate_tokens(prompt.so_far.strip())
        paid = self._count_affordable_tokens(prompt, prompt.spent + before)
        least = min(MIN_ANSWER_TOKENS, prompt.max_tokens)
        if min(longest, paid) < least:
            if not prompt.so_far.strip():
                raise BudgetError(again=prompt.spent + before != ZERO_USAGE)
            yield Stop("budget" if paid < least else "length")
            return
        call = replace(prompt, max_tokens=min(longest, paid))
        async with aclosing(self._stream_with_bill(call, before, report)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Stop) and piece.reason == "length" and paid < longest:
                    piece = replace(piece, reason="budget")  # noqa: PLW2901 - the same end with its cause
                yield piece

    async def _stream_with_bill(
        self, call: Prompt, before: Usage, report: Report
    ) -> AsyncGenerator[Piece, None]:
        """Stream the model's answer to `call`, with an estimated usage where it reports none."""
        has_bill = False
        texts: list[str] = []
        try:
            async with aclosing(self.provider.stream(call, report=report)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        has_bill = True
                        yield before + self._add_price(piece)
                        continue
                    if isinstance(piece, Text) and piece.text:
                        texts.append(piece.text)
                    elif isinstance(piece, Stop) and not has_bill:
                        has_bill = True
                        yield before + self._estimate_usage(call, "".join(texts))
                    yield piece
        except Exception as error:
            if not has_bill and (texts or getattr(error, "code", "") in BILLED_FAILURES):
                yield before + self._estimate_usage(call, "".join(texts))
            raise
        if not has_bill:
            yield before + self._estimate_usage(call, "".join(texts))

    def _estimate_usage(self, call: Prompt, texts: str) -> Usage:
        return self._add_price(Usage(estimate_prompt_tokens(call), estimate_tokens(texts), None))

    def _add_price(self, usage: Usage) -> Usage:
        if usage.cost_usd is None and self.price is not None:
            return replace(usage, cost_usd=self.price.compute_cost(usage))
        return usage

    def _count_affordable_tokens(self, prompt: Prompt, spent: Usage) -> int:
        """Return how many tokens the budget pays for after `spent` and the words of `prompt`."""
        limit = sys.maxsize
        if self.budget.usd is None and self.budget.tokens is None:
            return limit
        asked = estimate_prompt_tokens(prompt)
        if self.budget.tokens is not None:
            left = self.budget.tokens - spent.input_tokens - spent.output_tokens
            limit = min(limit, left - asked)
        if self.budget.usd is not None and self.price is not None:
            # A call of which only the tokens are known is counted at today's price.
            dollars = (
                spent.cost_usd if spent.cost_usd is not None else self.price.compute_cost(spent)
            )
            money = self.budget.usd - dollars - asked * self.price.input / MILLION
            if money < 0:
                limit = 0
            elif self.price.output:
                limit = min(limit, int(money * MILLION / self.price.output))
        return limit


def estimate_prompt_tokens(prompt: Prompt) -> int:
    """Estimate the tokens of the words of `prompt`; rather too many than too few."""
    words = render_prompt(prompt)
    return estimate_tokens(words.system, *(message.text for message in words.messages))


def estimate_tokens(*texts: str) -> int:
    """Estimate the tokens of all `texts`; rather too many than too few."""
    latin = sum(sum(character < "\u0250" for character in text) for text in texts)
    others = sum(map(len, texts)) - latin
    return round(latin / CHARACTERS_PER_TOKEN + others / CHARACTERS_PER_TOKEN_OTHERWISE)
