"""What the embedded engine says when it quotes nothing: small talk, and refusals that help."""

from collections.abc import Sequence

from ...passages import Passage
from ...small_talk import SmallTalk
from .answerability import find_unsaid
from .evidence import read_subject
from .facts import find_lacking
from .scores import weigh

NOT_SAID = "I looked, but the documents do not say."

MOST_WORDS = 3
MOST_SECTIONS = 5
MOST_DOCUMENTS = 12
"""How much of what is missing, and of what there is, is named."""

IN_SHORT = "The sentence that answers best:"

OTHER_LANGUAGE = (
    "The question looks to be in another language than the documents, and I compare words and"
    " meanings in theirs: please ask in it."
)

SAYINGS: dict[SmallTalk, str] = {
    "greeting": "Hello. Ask me something that the documents may answer; I quote what they say.",
    "thanks": "You are welcome.",
    "nod": "Ask me something that the documents may answer, and I look it up.",
    "goodbye": "Goodbye.",
    "sources": (
        "Every sentence I quote has a number, and the source with that number opens the document"
        " at the place. Where it is not what you meant, ask again in other words."
    ),
    "about": (
        "I am a search engine that answers in sentences. I look through the documents I was given"
        " and quote the sentences that answer best, each with its source. I am no language model:"
        " I write nothing of my own, and where the documents do not answer, I say so."
    ),
    "joke": "I only quote documents, and I make nothing up: no jokes, stories or poems.",
    "language": "I quote the documents as they are written. I cannot translate.",
    "rework": "I quote the documents as they are written. I cannot put them in other words.",
}


def reply_to(kind: SmallTalk, documents: Sequence[str]) -> str:
    """Return what is said to small talk. `documents` are the titles of all there are."""
    return " ".join(
        filter(None, (SAYINGS[kind], list_documents(documents) if kind == "about" else ""))
    )


def list_documents(documents: Sequence[str]) -> str:
    """Say which documents there are: a few by name, and how many more."""
    if not documents:
        return ""
    named = ", ".join(documents[:MOST_DOCUMENTS])
    more = len(documents) - MOST_DOCUMENTS
    return f"The documents: {named}{f' and {more:,} more' if more > 0 else ''}."


def explain_refusal(question: str, passages: Sequence[Passage]) -> str:
    """Say that the documents do not answer, what they lack, and what they have instead."""
    if not passages:
        return NOT_SAID
    if passages[0].is_foreign:
        return f"{NOT_SAID} {OTHER_LANGUAGE}"
    said, unsaid = find_unsaid(question, passages)
    if not passages[0].shares_words:
        unsaid = []  # they are words of another language
    missing = ", ".join(unsaid[:MOST_WORDS])
    lacking = "" if missing else _name_lacking(question, passages)
    if not said:
        lacking = f"They have nothing about: {missing}." if missing else lacking
        return f"{NOT_SAID} {lacking}".rstrip()
    document = passages[0].title.split(" › ", maxsplit=1)[0]
    sections = dict.fromkeys(
        parts[-1]
        for parts in (passage.title.split(" › ") for passage in passages)
        if len(parts) > 1 and parts[0] == document
    )
    lacks = f"They have {document}, but nothing about: {missing}." if missing else lacking
    has = ", ".join(list(sections)[:MOST_SECTIONS])
    offer = f"On {document} they have: {has}." if has else ""
    return " ".join(filter(None, (NOT_SAID, lacks, offer)))


def _name_lacking(question: str, passages: Sequence[Passage]) -> str:
    """Say which fact is not there, where all words of the question are."""
    subject, evidence = read_subject(question, passages), weigh(question, passages)
    lacking = find_lacking(question, subject, evidence)
    return f"They have no {lacking.name} for it." if lacking else ""
