"""Build the request of ConverseStream for one question and one model.

Families of models differ in how they are asked to think, in whether they continue a message of
their own, and in whether they cite passages themselves. Sends nothing.
"""

import re
from dataclasses import dataclass
from typing import Any

from ..prompt import Message, render_prompt
from ..provider import Prompt
from .thoughts import ThinkingPolicy

# The models that continue a message of their own. Later ones refuse it (400), others differ.
_PREFILLED = re.compile(r"\banthropic\.claude-(?:3|(?:opus|sonnet|haiku)-4-(?:[0-5]\b|2025))")
# Claude that is told how many tokens to think; later ones are told how hard.
_BUDGETED = re.compile(r"\banthropic\.claude-(?:3-7|(?:opus|sonnet|haiku)-4-(?:[0-5]\b|2025))")
_CLAUDE = re.compile(r"\banthropic\.claude-")
_NOVA_2 = re.compile(r"\bamazon\.nova-2")
_BY_EFFORT = re.compile(r"\b(?:openai\.gpt-oss|moonshot|moonshotai)")
_CITING = re.compile(r"\banthropic\.claude-(?!3-(?:haiku|sonnet|opus)\b|instant|v2)")
_REGION = re.compile(r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|me|global)\.")

# Tokens of thought that an effort is, for models that count them; 1,024 is the least they take.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384}
_MIN_BUDGET = 1024

# What an effort of "none" is, for models that could think.
_OFF: tuple[tuple[re.Pattern[str], dict[str, Any]], ...] = (
    (_CLAUDE, {"thinking": {"type": "disabled"}}),
    (_NOVA_2, {"reasoningConfig": {"type": "disabled"}}),
    (_BY_EFFORT, {"reasoning_effort": "low"}),
)


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A guardrail that checks every message."""

    identifier: str
    version: str


class BedrockRequest:
    """One question for one model. `build` it, or `build_count` to have its tokens counted."""

    def __init__(
        self,
        model: str,
        prompt: Prompt,
        thinking: ThinkingPolicy,
        *,
        temperature: float | None = None,
        guardrail: Guardrail | None = None,
        cache: str = "",
        instructions: str = "",
        has_native_citations: bool = False,
        is_thinker: bool = False,
    ) -> None:
        self._model = model
        self._prompt = prompt
        self._thinking = thinking
        self._temperature = temperature
        self._guardrail = guardrail
        self._cache = cache
        self._instructions = instructions
        self._is_citing = has_native_citations and bool(_CITING.search(model) and prompt.passages)
        effort = thinking.choose_effort(model, prompt)
        # A message that is continued cannot be thought about again.
        self.has_prefill = bool(_PREFILLED.search(model)) and (
            effort in (None, "none") or bool(prompt.so_far.strip())
        )
        self._effort = None if self.has_prefill and prompt.so_far.strip() else effort
        self._fields = self._build_thinking()
        self.is_thinker = is_thinker or (bool(self._fields) and self._effort != "none")

    def build(self) -> dict[str, Any]:
        """Return the arguments of ``converse_stream``."""
        request: dict[str, Any] = {"modelId": self._model, **self._build_messages()}
        if limits := self._build_limits():
            request["inferenceConfig"] = limits
        if self._fields:
            request["additionalModelRequestFields"] = self._fields
        if self._guardrail is not None:
            request["guardrailConfig"] = {
                "guardrailIdentifier": self._guardrail.identifier,
                "guardrailVersion": self._guardrail.version,
            }
        return request

    def build_count(self) -> dict[str, Any]:
        """Return the arguments of ``count_tokens``, which knows models and no profiles of them."""
        model = _REGION.sub("", self._model.rpartition("/")[2])
        return {"modelId": model, "input": {"converse": self._build_messages()}}

    def _build_messages(self) -> dict[str, Any]:
        words = render_prompt(
            self._prompt,
            instructions=self._instructions,
            prefill=self.has_prefill,
            is_citing=self._is_citing,
        )
        messages = [_make_message(message) for message in words.messages]
        system: list[dict[str, Any]] = [{"text": words.system}]
        asked = 2 * len(self._prompt.history)
        if self._is_citing:
            messages[asked]["content"][:0] = self._build_search_results()
        if self._cache:
            # The next question of this conversation begins with the same messages.
            point = {"cachePoint": {"type": "default"}}
            if self._cache != "5m":
                point["cachePoint"]["ttl"] = self._cache
            system.append(point)
            if self._prompt.history:
                messages[asked - 1]["content"].append(point)
        return {"system": system, "messages": messages}

    def _build_search_results(self) -> list[dict[str, Any]]:
        return [
            {
                "searchResult": {
                    "source": passage.uri or passage.id,
                    "title": " ".join(passage.title.split()) or "Untitled",
                    "content": [{"text": passage.text.strip() or "…"}],
                    "citations": {"enabled": True},
                }
            }
            for passage in self._prompt.passages
        ]

    def _build_limits(self) -> dict[str, Any]:
        limits: dict[str, Any] = {}
        is_free = bool(_NOVA_2.search(self._model)) and self._effort == "high"
        if not is_free:
            # Nova 2 refuses every limit beside a high effort.
            limits["maxTokens"] = (
                self._prompt.limit_output(self._count_thinking())
                if self.is_thinker
                else self._prompt.max_tokens
            )
        if self._temperature is not None and not (self._fields and self._effort != "none"):
            # A model that is asked to think takes no temperature.
            limits["temperature"] = self._temperature
        return limits

    def _count_thinking(self) -> int:
        if _BUDGETED.search(self._model) and self._fields:
            return int(self._fields["thinking"]["budget_tokens"])
        return self._thinking.tokens

    def _build_thinking(self) -> dict[str, Any]:
        effort = self._effort
        if effort is None:
            return {}
        if _BUDGETED.search(self._model):
            return self._build_budget(effort)
        if effort == "none":
            return next((off for family, off in _OFF if family.search(self._model)), {})
        known = "low" if effort == "minimal" else effort
        if _CLAUDE.search(self._model):
            return {"thinking": {"type": "adaptive"}, "output_config": {"effort": known}}
        if _NOVA_2.search(self._model):
            return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": known}}
        return {"reasoning_effort": known} if _BY_EFFORT.search(self._model) else {}

    def _build_budget(self, effort: str) -> dict[str, Any]:
        most = self._thinking.tokens
        if self._prompt.max_output_tokens is not None:
            most = min(most, self._prompt.max_output_tokens - self._prompt.max_tokens)
        if effort == "none" or most < _MIN_BUDGET:
            return {}
        budget = max(_MIN_BUDGET, min(most, _BUDGETS[effort]))
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _make_message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [{"text": message.text}]}
