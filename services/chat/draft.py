"""An answer that is whole before its first word is said."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draft:
    """The text, and a summary of where it comes from.

    `is_quoting` tells whether it says anything of the passages: a refusal has no sources.
    """

    text: str
    summary: str
    is_quoting: bool
