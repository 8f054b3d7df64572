"""Providers that can write a whole answer before its first word is said.

One that quotes decides at once whether the passages answer; who says so before the sources are
shown can show none beside a refusal.
"""

from typing import Protocol, runtime_checkable

from .draft import Draft
from .provider import Prompt


@runtime_checkable
class DraftingProvider(Protocol):
    """A provider that writes its whole answer first, and streams it from `Prompt.draft`."""

    async def draft(self, prompt: Prompt) -> Draft:
        """Write the answer of `prompt`."""
        ...
