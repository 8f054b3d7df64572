"""Which words of a text carry its subject.

Shared by sentence splitting, lexical search and the follow-up rule. It knows English; for
other languages every word counts, which only makes the lexical gate stricter.
"""

import re
import unicodedata


def word_set(text: str) -> frozenset[str]:
    """Return a word list that is written as running text, to be read by people."""
    return frozenset(text.split())


# Words too common to say what a question is about. They count neither for coverage nor as
# the content of a question.
COMMON = word_set(
    """a about above after again against all also always am among an and another any are aren as at
    be because been before being below best between both but by can cannot could couldn did
    didn do does doesn doing don done down during each either else enough ever every few
    find for from further get gets give go goes going good got had hadn has hasn have haven
    having he hello help her here hers herself hey hi him himself his how however i if in
    into is isn it its itself just kind know least less let like ll many may maybe me might
    mine more most much must my myself near need needs never no nor not now of off often ok
    on once one ones only or other others otherwise our ours ourselves out over own per
    perhaps please put quite rather re really s same say see several shall she should
    shouldn show since so some something still such sure t take tell than thank thanks that
    the their theirs them themselves then there these they thing things this those though
    through thus to together too toward towards under until up upon us use used using ve
    very via want was wasn way we well were weren what whatever when whenever where wherever
    whether which while who whoever whole whom whose why will with within without won worth
    would wouldn yes yet you your yours yourself yourselves"""
)

ENGLISH_SHARE = 0.2
"""Questions in English have a share of 0.3 to 0.7, those in its neighbours up to 0.15."""

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return the words of `text`, case-folded, in order: runs of letters and digits."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def singular(word: str) -> str:
    """Return `word` without a plural ending, roughly: "museums" and "museum" become one."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word


def is_english(text: str) -> bool:
    """Tell whether `text` has as many of the common English words as English has, or is short."""
    found = words(text)
    return len(found) < 3 or sum(word in COMMON for word in found) >= ENGLISH_SHARE * len(found)


def content_words(text: str) -> list[str]:
    """Return the distinct words of `text` that carry its subject, in order of appearance."""
    return list(dict.fromkeys(word for word in words(text) if word not in COMMON))
