"""What an answer may cost and what it did: a budget before, money after.

Wraps one model. The limit on the answer is lowered to what the budget still pays, so the model
itself ends in time and its last sentence arrives; nothing is paid and thrown away.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from services.chat.prices import MILLION, Price
from services.chat.provider import ChatProvider, Piece, Prompt, Stop, Usage
from services.chat.wording import worded
from services.errors import RiverrunError
from services.progress import Report, unheard

# Characters a token, on the careful side for prose in Latin script; others are denser.
CHARACTERS = 3.5
OTHERS = 1.0

# An answer of fewer tokens is no answer: then the question alone is the budget.
LEAST = 16


class BudgetError(RiverrunError):
    """The question and its passages alone would cost more than a run may."""

    code = "budget_exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one run may take: US dollars, tokens in and out together, or no limit."""

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
        self, prompt: Prompt, *, report: Report = unheard
    ) -> AsyncGenerator[Piece, None]:
        """Answer as long as the budget pays: then ``Stop("budget")``.

        Raises `BudgetError` before anything is asked when the question alone is too dear.
        """
        limit = self._limit(prompt)
        capped = limit < prompt.max_tokens
        if capped:
            prompt = replace(prompt, max_tokens=limit)
        async with aclosing(self.provider.stream(prompt, report=report)) as pieces:
            async for piece in pieces:
                yield self._billed(piece, capped=capped)

    def _billed(self, piece: Piece, *, capped: bool) -> Piece:
        if isinstance(piece, Usage) and piece.cost_usd is None and self.price is not None:
            return replace(piece, cost_usd=self.price.of(piece))
        if isinstance(piece, Stop) and piece.reason == "length" and capped:
            return replace(piece, reason="budget")
        return piece

    def _limit(self, prompt: Prompt) -> int:
        if self.budget.usd is None and self.budget.tokens is None:
            return prompt.max_tokens
        asked = tokens_in(prompt)
        limit = prompt.max_tokens
        if self.budget.tokens is not None:
            limit = min(limit, self.budget.tokens - asked)
        if self.budget.usd is not None and self.price is not None:
            left = self.budget.usd - asked * self.price.input / MILLION
            if self.price.output:
                limit = min(limit, int(left * MILLION / self.price.output))
            elif left < 0:
                limit = 0
        if limit < min(LEAST, prompt.max_tokens):
            raise BudgetError(
                "This question and its passages would cost more than one answer may.",
                hint="Shorten the question, lower top_k, or start a new conversation.",
            )
        return limit


def tokens_in(prompt: Prompt) -> int:
    """About how many tokens the words of `prompt` are; rather too many than too few."""
    words = worded(prompt)
    texts = [words.system, *(message.text for message in words.messages)]
    latin = sum(sum(character < "\u0250" for character in text) for text in texts)
    others = sum(map(len, texts)) - latin
    return round(latin / CHARACTERS + others / OTHERS)
