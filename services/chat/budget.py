"""Keep an answer within its budget, and say what it cost.

Wraps one model. The limit on the answer is lowered to what the budget still pays, so the model
itself ends in time and its last sentence arrives; nothing is paid and thrown away. A call whose
service did not report its usage is estimated, rather too high than too low.
"""

import logging
import math
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from ..errors import RiverrunError
from ..progress import Report, no_report
from .prices import MILLION, Price
from .prompt import estimate_prompt_tokens, estimate_tokens, measure_tokens
from .provider import (
    MAX_TOKENS,
    ZERO_USAGE,
    ChatProvider,
    ModelUsage,
    Piece,
    Prompt,
    Stop,
    Text,
    ThoughtText,
)

logger = logging.getLogger(__name__)

# An answer of fewer tokens is no answer: then the question alone uses up the budget.
MIN_ANSWER_TOKENS = 16

# A call that fails with one of these codes before any text had begun its work. Any other failure
# before any text is a refusal, which no service charges for.
BILLED_FAILURES = frozenset({"provider_timeout", "provider_truncated"})


# Tokens of thought after which their cost is reported again.
THOUGHT_STEP = 200


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
        reported before. Where no budget is left to continue, the text so far is the answer, and no
        model is asked. Raises `BudgetError` before any call when there is no text.
        """
        before = ZERO_USAGE
        if prompt.unbilled_calls:
            for unbilled in prompt.unbilled_calls:
                asked = replace(prompt, so_far=unbilled.so_far)
                before += self._estimate_usage(asked, unbilled.text)
            yield before
        longest = prompt.max_tokens - estimate_tokens(prompt.so_far.strip())
        paid = await self._find_affordable_tokens(prompt, prompt.spent + before, longest)
        least = min(MIN_ANSWER_TOKENS, prompt.max_tokens)
        if min(longest, paid) < least:
            if not prompt.so_far.strip():
                raise BudgetError(again=prompt.spent + before != ZERO_USAGE)
            yield Stop("budget" if paid < least else "length")
            return
        call = replace(
            prompt,
            max_tokens=min(longest, paid),
            max_output_tokens=paid if paid < sys.maxsize else None,
        )
        output = 0
        async with aclosing(self._stream_with_bill(call, before, report)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ModelUsage):
                    output = piece.output_tokens - before.output_tokens
                elif isinstance(piece, Stop) and piece.reason == "length":
                    # A model that thinks may have used up the money with few words.
                    is_budget = paid < longest or output >= paid
                    piece = replace(piece, reason="budget" if is_budget else "length")  # noqa: PLW2901 - the same end with its cause
                yield piece

    async def _stream_with_bill(
        self, call: Prompt, before: ModelUsage, report: Report
    ) -> AsyncGenerator[Piece, None]:
        """Stream the model's answer to `call`, with an estimated usage where it reports none.

        What it thinks is reported while it thinks: a process that ends then leaves no other trace
        of what that cost. The question's tokens are not in it; a call that reports nothing more is
        estimated with them (`Prompt.unbilled_calls`).
        """
        has_bill = False
        texts: list[str] = []
        thought, reported = 0.0, 0.0
        try:
            async with aclosing(self.provider.stream(call, report=report)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ModelUsage):
                        has_bill = True
                        yield before + self._read_bill(piece, call, texts, thought)
                        continue
                    if isinstance(piece, Text) and piece.text:
                        texts.append(piece.text)
                    elif isinstance(piece, ThoughtText):
                        thought += measure_tokens(piece.text)
                        if thought - reported >= THOUGHT_STEP and not has_bill and not texts:
                            reported = thought
                            yield before + self._price_thoughts(round(thought))
                    elif isinstance(piece, Stop) and not has_bill:
                        has_bill = True
                        yield before + self._estimate_usage(call, "".join(texts), round(thought))
                    yield piece
        except Exception as error:
            began = texts or thought or getattr(error, "code", "") in BILLED_FAILURES
            if not has_bill and began:
                yield before + self._estimate_usage(call, "".join(texts), round(thought))
            raise
        if not has_bill:
            yield before + self._estimate_usage(call, "".join(texts), round(thought))

    def _read_bill(
        self, bill: ModelUsage, call: Prompt, texts: list[str], thought: float
    ) -> ModelUsage:
        if is_credible(bill):
            return self._add_price(bill)
        logger.warning("%s reported %s; its call is estimated.", self.model, bill)
        return self._estimate_usage(call, "".join(texts), round(thought))

    def _estimate_usage(self, call: Prompt, texts: str, thought: int = 0) -> ModelUsage:
        return self._add_price(
            ModelUsage(
                estimate_prompt_tokens(call),
                estimate_tokens(texts) + thought,
                None,
                reasoning_tokens=thought,
            )
        )

    def _price_thoughts(self, tokens: int) -> ModelUsage:
        return self._add_price(ModelUsage(0, tokens, None, reasoning_tokens=tokens))

    def _add_price(self, usage: ModelUsage) -> ModelUsage:
        if usage.cost_usd is None and self.price is not None:
            return replace(usage, cost_usd=self.price.compute_cost(usage))
        return usage

    async def _find_affordable_tokens(self, prompt: Prompt, spent: ModelUsage, longest: int) -> int:
        """Return how many tokens the budget pays for after `spent` and the words of `prompt`."""
        if self.budget.usd is None and self.budget.tokens is None:
            return sys.maxsize
        paid = self._count_affordable_tokens(spent, estimate_prompt_tokens(prompt))
        if paid < longest and (count := getattr(self.provider, "count_tokens", None)) is not None:
            # The estimate is rather too high. Where it would cut the answer, the service, which
            # counts for nothing, is asked.
            exact = await count(prompt)
            if exact is not None:
                paid = self._count_affordable_tokens(spent, exact)
        return paid

    def _count_affordable_tokens(self, spent: ModelUsage, asked: int) -> int:
        limit = sys.maxsize
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


def is_credible(usage: ModelUsage) -> bool:
    """Return whether one call can have used this: nothing negative, nothing beyond any model."""
    counts = (
        *(usage.input_tokens, usage.output_tokens, usage.cached_tokens),
        *(usage.stored_tokens, usage.reasoning_tokens),
    )
    has_cost = usage.cost_usd is None or 0 <= usage.cost_usd < math.inf
    return has_cost and all(0 <= count <= MAX_TOKENS for count in counts)
