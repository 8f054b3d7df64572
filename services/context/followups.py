"""Follow-up questions: what "And its museums?" means after a question about Tokyo.

A rule over words, not a model: it decides whether a question can stand alone, and if not,
what it takes over from the earlier ones.

1. A question that names a subject and says something about it stands alone. One that is
   only a subject ("And in Kyoto?") takes over the earlier question, with this subject in the
   place of that one's. One that also points at another ("How do I get there from Kyoto?") takes
   over the earlier subject, too.
2. A question that names none stands alone when it has at least two content words, does not
   begin like a continuation ("and", "what about") and points at nothing ("it", "there",
   "about that"). Otherwise it takes over the earlier subject; when there is none, or for a
   bare "Why?" or "Which one is the best?", the whole earlier question.

Earlier questions are completed in the same way, and small talk among them is passed over.

A subject is a capitalised word within the question or, when there is none, a word of a
document's title.
"""

import re
from collections.abc import Collection, Sequence

from ..small_talk import find_small_talk
from .words import COMMON, content_words, word_set, words

MOST_EARLIER = 6
"""Earlier questions that are looked at."""

CONTINUATIONS = re.compile(
    r"(?:and|or|but|also|then|plus|so)\b|(?:what|how) about\b|(?:anything|what|who|where) else\b"
    r"|any(?:thing)? more\b|(?:tell me|show me|give me)? ?more\b|same\b|in that case\b"
)
ELLIPTICAL = re.compile(
    r"(?:and |but |so )?(?:which (?:one|ones|of|is|are|would)\b|what (?:s|is) the (?:best|nearest"
    r"|cheapest|nicest)(?: one)?$|(?:the )?(?:best|cheapest|nearest|nicest) one"
    r"|why\b|how so\b|how come\b)"
)
"""How questions begin that choose among what the last answer said, or doubt it."""

# What asks for a subject as such, in words that are too common to be searched for.
WHOLE = re.compile(
    r"(?:(?:and|but|so|then) )?(?:(?:what|where|which|how) .*\b(?:see|do|visit|know)\b"
    r"|(?:can you )?(?:tell me|say something|describe|introduce)\b|who (?:is|was|are|were)\b)"
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
    earlier = [line for line in earlier if find_small_talk(line) is None]
    completed: list[str] = []
    for line in earlier[-MOST_EARLIER:]:
        completed.append(_complete(line, completed, titles))
    return _complete(question, completed, titles)


def _complete(question: str, earlier: Sequence[str], titles: Collection[str]) -> str:
    """Complete one question from earlier ones that are complete."""
    if not earlier or find_small_talk(question) in ("rework", "language"):
        return earlier[-1] if earlier else question
    own = subject(question, titles)
    names = next((found for line in reversed(earlier) if (found := subject(line, titles))), [])
    said = words(question)
    content = content_words(question)
    if not own:
        return _take_over(question, content, names, earlier[-1])
    is_bare = set(content) <= {word for name in own for word in words(name)}
    if is_bare and not WHOLE.match(" ".join(said)):
        if names and _has_pointer(said):
            return f"{' '.join(names)}: {question}"
        return _exchange_names(earlier[-1], subject(earlier[-1], titles), own)
    if names and _has_pointer(said, PLACES) and not set(own) & set(names):
        return f"{' '.join(names)}: {question}"
    return question


def _take_over(question: str, content: list[str], names: list[str], earlier: str) -> str:
    """Complete a question that names no subject."""
    said = words(question)
    line = " ".join(said)
    if len(content) >= 2 and not CONTINUATIONS.match(line) and not _has_pointer(said):
        return question
    is_bare = not content and len(said) <= 3
    if not names or is_bare or ELLIPTICAL.match(line):
        return f"{earlier} {question}"
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


def _has_pointer(spoken: list[str], among: Collection[str] | None = None) -> bool:
    """Tell whether any word points at what was said before, or only one of those `among`."""
    for position, word in enumerate(spoken):
        before = spoken[position - 1] if position else ""
        after = spoken[position + 1] if position + 1 < len(spoken) else ""
        if among is not None and word not in among:
            continue
        if word in POINTERS:
            return True
        # "Is there a museum" points nowhere; "how do I get there" does.
        if word in PLACES and before not in BEING and after not in BEING:
            return True
        # "museums that open late" points nowhere; "what is that" and "more about that" do.
        if word in DEMONSTRATIVES and (not after or before in BEFORE_DEMONSTRATIVE):
            return True
    return False


def _exchange_names(question: str, names: list[str], own: list[str]) -> str:
    """Put the names `own` in the place of `names`; before the question where there are none."""
    new = " ".join(own)
    for place, name in enumerate(names):
        pattern = rf"\b{re.escape(name)}\b"
        if place == 0:
            question, count = re.subn(pattern, lambda _: new, question, count=1)
            if not count:
                break
        else:
            question = re.sub(rf"\s*{pattern}", "", question)
    text = " ".join(question.split())
    return text if new in text else f"{new}: {text}"
