"""What the embedded engine says when it quotes nothing: small talk, and refusals that help."""

import re
from collections.abc import Sequence

from ...passages import Passage
from ...small_talk import SmallTalk
from ..provider import Turn
from .evidence import find_unsaid

NOT_SAID = "I looked, but the documents do not say."

MOST_WORDS = 3
MOST_SECTIONS = 5

SAYINGS: dict[SmallTalk, str] = {
    "greeting": "Hello. Ask me something that the documents may answer; I quote what they say.",
    "thanks": "You are welcome.",
    "goodbye": "Goodbye.",
    "about": (
        "I am a search engine that answers in sentences. I look through the documents I was given"
        " and quote the sentences that answer best, each with its source. I am no language model:"
        " I write nothing of my own, and where the documents do not answer, I say so."
    ),
    "joke": "I only quote documents, and I make nothing up: no jokes, stories or poems.",
    "language": "I quote the documents as they are written. I cannot translate.",
    "rework": "I quote the documents as they are written. I cannot put them in other words.",
}


def reply_to(kind: SmallTalk, history: Sequence[Turn]) -> str:
    """Return what is said to small talk. "Shorter" gets the first sentence of the last answer."""
    if kind == "rework" and history:
        first = re.match(r".+?[.!?](?: ?\[\d+\])?(?=\s|$)", history[-1].answer, re.DOTALL)
        if first and "[" in first[0]:
            quoted = re.sub(r" ?\[\d+\]", "", first[0]).lstrip("-*# ")
            return f"{SAYINGS[kind]} The sentence that answered best was: {quoted}"
    return SAYINGS[kind]


def explain_refusal(question: str, passages: Sequence[Passage]) -> str:
    """Say that the documents do not answer, what they lack, and what they have instead."""
    if not passages:
        return NOT_SAID
    said, unsaid = find_unsaid(question, passages)
    missing = ", ".join(unsaid[:MOST_WORDS])
    if not said:
        return f"{NOT_SAID} They have nothing about: {missing}." if missing else NOT_SAID
    document = passages[0].title.split(" › ", maxsplit=1)[0]
    sections = dict.fromkeys(
        parts[-1]
        for parts in (passage.title.split(" › ") for passage in passages)
        if len(parts) > 1 and parts[0] == document
    )
    lacks = f"They have {document}, but nothing about: {missing}." if missing else ""
    has = ", ".join(list(sections)[:MOST_SECTIONS])
    offer = f"On {document} they have: {has}." if has else ""
    return " ".join(filter(None, (NOT_SAID, lacks, offer)))
