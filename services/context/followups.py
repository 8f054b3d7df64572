"""Follow-up questions: what "And its museums?" means after a question about Tokyo.

A rule over words, not a model: it decides whether a question can stand alone, and if not,
what it takes over from the earlier ones.

1. A question that names a subject and says something about it stands alone. One that is
   only a subject ("And in Kyoto?") takes over the earlier question, without that one's own.
2. A question that names none stands alone when it has at least two content words, does not
   begin like a continuation ("and", "what about") and points at nothing ("it", "there",
   "about that"). Otherwise it takes over the earlier subject; when there is none, or for a
   bare "Why?", the whole earlier question.

A subject is a capitalised word within the question or, when there is none, a word of a
document's title.
"""

import re
from collections.abc import Collection

from .words import COMMON, content_words, word_set, words

CONTINUATIONS = re.compile(
    r"(?:and|or|but|also|then|plus|so)\b|(?:what|how) about\b|(?:anything|what|who|where) else\b"
    r"|any(?:thing)? more\b|(?:tell me|show me|give me)? ?more\b|same\b|in that case\b"
)
POINTERS = word_set(
    """it its itself they them their theirs he him his she her hers latter former"""
)
PLACES = frozenset({"there", "here"})
BEING = word_set("is are was were be been s re will would can could should exist exists")
DEMONSTRATIVES = frozenset({"this", "that", "these", "those"})
BEFORE_DEMONSTRATIVE = word_set(
    """about after at before by do does for from in into is like near of on than to was with"""
)


def complete(question: str, previous: str | None, titles: Collection[str]) -> str:
    """Return the text to search for: `question`, with what it takes over from `previous`.

    `previous` holds earlier questions, one a line, the newest last; `titles` the case-folded
    words of the documents' titles.
    """
    earlier = [line.strip() for line in (previous or "").splitlines() if line.strip()]
    if not earlier:
        return question
    own = subject(question, titles)
    content = content_words(question)
    if own and set(content) - {word for name in own for word in words(name)}:
        return question
    if own:
        return f"{' '.join(own)}: {_remove_names(earlier[-1], subject(earlier[-1], titles))}"
    continues = CONTINUATIONS.match(" ".join(words(question))) is not None
    if len(content) >= 2 and not continues and not _has_pointer(words(question)):
        return question
    names = next((found for line in reversed(earlier) if (found := subject(line, titles))), [])
    if not names or (not content and len(words(question)) <= 3):
        return f"{earlier[-1]} {question}"
    return f"{' '.join(names)}: {question}"


def subject(question: str, titles: Collection[str]) -> list[str]:
    """Return the words of `question` that name its subject, as written, each once."""
    spelled = [word for word in re.findall(r"[^\W_]+", question) if word.casefold() not in COMMON]
    known = [word for word in spelled if word.casefold() in titles]
    if question == question.upper():
        return list(dict.fromkeys(known))  # in capitals throughout they say nothing
    # The first word is written large in any case, so there only a title tells.
    first = re.match(r"\W*([^\W_]*)", question)
    opening = first[1] if first else ""
    names = [word for word in spelled if word[0].isupper() and (word != opening or word in known)]
    return list(dict.fromkeys(names or known))


def title_words(titles: Collection[str]) -> frozenset[str]:
    """Return the content words of document titles, without those that many titles share."""
    counts: dict[str, int] = {}
    for title in titles:
        for word in content_words(title):
            counts[word] = counts.get(word, 0) + 1
    most = max(2, len(titles) // 5)
    return frozenset(word for word, count in counts.items() if count <= most)


def _has_pointer(spoken: list[str]) -> bool:
    for position, word in enumerate(spoken):
        before = spoken[position - 1] if position else ""
        after = spoken[position + 1] if position + 1 < len(spoken) else ""
        if word in POINTERS:
            return True
        # "Is there a museum" points nowhere; "how do I get there" does.
        if word in PLACES and before not in BEING and after not in BEING:
            return True
        # "museums that open late" points nowhere; "what is that" and "more about that" do.
        if word in DEMONSTRATIVES and (not after or before in BEFORE_DEMONSTRATIVE):
            return True
    return False


def _remove_names(question: str, names: list[str]) -> str:
    for name in names:
        # With the preposition that led to it: "restaurants in Tokyo" leaves "restaurants".
        question = re.sub(rf"(?:\b[^\W\d_]{{1,4}}\s+)?\b{re.escape(name)}\b", "", question)
    return re.sub(r"\s+(?=[?!.,;:])", "", " ".join(question.split()))
