"""What an answer may cost and what it did: a budget before, money after.

Wraps one model. The limit on the answer is lowered to what the budget still pays, so the model
itself ends in time and its last sentence arrives; nothing is paid and thrown away. What a call
took whose service did not say so is estimated, and rather too much than too little.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from ..errors import RiverrunError
from ..progress import Report, no_report
from .prices import MILLION, Price
from .prompt import worded
from .provider import NOTHING, ChatProvider, Piece, Prompt, Stop, Text, Usage

# Characters a token, on the careful side for prose in Latin script; others are denser.
CHARACTERS = 3.5
OTHERS = 1.0

# An answer of fewer tokens is no answer: then the question alone is the budget.
LEAST = 16

# A call that fails so before a word of its answer was at work by then. Any other failure there
# is a refusal, which no service asks money for.
AT_WORK = frozenset({"provider_timeout", "provider_truncated"})


class BudgetError(RiverrunError):
    """The question and its passages alone would cost more than is left of what a run may."""

    code = "budget_exceeded"

    def __init__(self, *, again: bool) -> None:
        if again:
            told = "What this answer may cost was spent before any of it was said."
            hint = "Ask again, or for less at once."
        else:
            told = "This question and its passages would cost more than one answer may."
            hint = "Shorten the question, lower top_k, or start a new conversation."
        super().__init__(told, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one run may take in all its calls: US dollars, tokens in and out together, no limit."""

    usd: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Metered:
    """`provider`, with its bill. `price` None is unknown: the bill then says tokens only."""

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

        The bill is what `prompt.cut` took and this call; `prompt.spent` is on another already.
        Where nothing is left to go on with, what was said so far is the answer, and no model is
        asked. Raises `BudgetError`, with nothing asked, when nothing was said either.
        """
        before = NOTHING
        if prompt.cut:
            for cut in prompt.cut:
                before += self._estimate(replace(prompt, so_far=cut.so_far), cut.said)
            yield before
        longest = prompt.max_tokens - tokens_of(prompt.so_far.strip())
        paid = self._paid(prompt, prompt.spent + before)
        least = min(LEAST, prompt.max_tokens)
        if min(longest, paid) < least:
            if not prompt.so_far.strip():
                raise BudgetError(again=prompt.spent + before != NOTHING)
            yield Stop("budget" if paid < least else "length")
            return
        call = replace(prompt, max_tokens=min(longest, paid))
        async with aclosing(self._billed(call, before, report)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Stop) and piece.reason == "length" and paid < longest:
                    piece = replace(piece, reason="budget")  # noqa: PLW2901 - the same end, its cause named
                yield piece

    async def _billed(
        self, call: Prompt, before: Usage, report: Report
    ) -> AsyncGenerator[Piece, None]:
        """What the model says to `call`, with a bill also where it gives none."""
        told = False
        said: list[str] = []
        try:
            async with aclosing(self.provider.stream(call, report=report)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        told = True
                        yield before + self._priced(piece)
                        continue
                    if isinstance(piece, Text) and piece.text:
                        said.append(piece.text)
                    elif isinstance(piece, Stop) and not told:
                        told = True
                        yield before + self._estimate(call, "".join(said))
                    yield piece
        except Exception as error:
            if not told and (said or getattr(error, "code", "") in AT_WORK):
                yield before + self._estimate(call, "".join(said))
            raise
        if not told:
            yield before + self._estimate(call, "".join(said))

    def _estimate(self, call: Prompt, said: str) -> Usage:
        return self._priced(Usage(tokens_in(call), tokens_of(said), None))

    def _priced(self, usage: Usage) -> Usage:
        if usage.cost_usd is None and self.price is not None:
            return replace(usage, cost_usd=self.price.of(usage))
        return usage

    def _paid(self, prompt: Prompt, spent: Usage) -> int:
        """How many tokens the budget pays for after `spent` and the words of `prompt`."""
        limit = sys.maxsize
        if self.budget.usd is None and self.budget.tokens is None:
            return limit
        asked = tokens_in(prompt)
        if self.budget.tokens is not None:
            left = self.budget.tokens - spent.input_tokens - spent.output_tokens
            limit = min(limit, left - asked)
        if self.budget.usd is not None and self.price is not None:
            # A call of which only the tokens are known cost what they cost now.
            dollars = spent.cost_usd if spent.cost_usd is not None else self.price.of(spent)
            money = self.budget.usd - dollars - asked * self.price.input / MILLION
            if money < 0:
                limit = 0
            elif self.price.output:
                limit = min(limit, int(money * MILLION / self.price.output))
        return limit


def tokens_in(prompt: Prompt) -> int:
    """About how many tokens the words of `prompt` are; rather too many than too few."""
    words = worded(prompt)
    return tokens_of(words.system, *(message.text for message in words.messages))


def tokens_of(*texts: str) -> int:
    """About how many tokens `texts` are together; rather too many than too few."""
    latin = sum(sum(character < "\u0250" for character in text) for text in texts)
    others = sum(map(len, texts)) - latin
    return round(latin / CHARACTERS + others / OTHERS)
