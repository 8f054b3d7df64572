"""What kind of answer a question asks for, by its wording."""

import re
from dataclasses import dataclass
from typing import Literal

from ...wording import asks_quantity, is_plan, is_sightseeing, read_comparison
from ..words import count_sentences_wanted, fold

Kind = Literal["plan", "compare", "list", "how", "overview", "plain"]

_LIST = re.compile(
    r"^(?:list|name|which|what are|give me|show me)\b.*s\b|\b(?:best|top|list of|all the"
    r"|options|ideas|recommend\w*|suggest\w*|tips|highlights|must[- ]see)\b"
)
_HOW = re.compile(r"^(?:how (?:do|can|should|to)|can i|show|example)\b")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the kind of answer, how many units, whether a number or a date.

    `sides` are the two things to compare, `topic` in what; empty for a comparison in general.
    """

    kind: Kind
    units: int
    wants_number: bool
    sides: tuple[str, str] | None = None
    topic: str = ""


def read_wish(question: str) -> Wish:
    """Read the wish in the wording of a question."""
    plain = fold(question).strip()
    units = count_sentences_wanted(question)
    number = asks_quantity(question)
    if comparison := read_comparison(question):
        return Wish("compare", 8, number, comparison.sides, comparison.topic)
    if is_plan(question):
        return Wish("plan", 8, number)
    if is_sightseeing(question):
        return Wish("list", 7, number)
    if units == 5 or (_LIST.search(plain) and not number):
        return Wish("list", 7, number)
    if _HOW.search(plain):
        return Wish("how", units, number)
    return Wish("plain", units, number)
