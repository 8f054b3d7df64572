"""Which words of a text carry its subject.

Shared by sentence splitting, lexical search and the follow-up rule. It knows English; for
other languages every word counts, which only makes the lexical gate stricter.
"""

import re
import unicodedata
from functools import lru_cache


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
    whats wheres whos hows thats theres im ive dont doesnt didnt cant isnt arent wont lets
    whether which while who whoever whole whom whose why will with within without won worth
    would wouldn yes yet you your yours yourself yourselves"""
)

ENGLISH_SHARE = 0.2
"""Questions in English have a share of 0.3 to 0.7, those in its neighbours up to 0.15."""

# Common words of English's neighbours that are no words of it. What is spelled alike ("was",
# "in", "die") tells nothing and stands in neither list.
FOREIGN = (
    word_set(
        """aber als auch auf aus bei bin bis bitte dann das dem den der des doch du ein eine
    einem einen
    einer es für gibt gut haben hat ich ihr ist kann kannst können machen man mein mich mir mit
    muss nach nicht oder schön sehr sein sich sie sind soll sollte über um und uns viel vom von
    wann warum welche welcher welches wenn wer werden wie wir wird wo woher wohin zu zum zur isst
    au aux avec ce ces cette combien comment dans de du elle est et être faire faut il ils je la le
    les leur mais meilleur meilleurs mes mon nous où par pas peut plus pour pourquoi quand que quel
    quelle quelles quels qui quoi sa se ses son sont sur très tu un une vous à
    al como con cómo cual cuál cuando cuándo cuántas cuánto cuántos del donde dónde el ella en eres
    esta está están este es gracias hacer hay la las lo los más mejor mejores muy nos para pero
    por puede puedo que qué quién se ser si sobre son soy su sus tiene un una y
    che chi come cosa da dei della delle di dove e gli ho i il miglior migliore nel nella non per
    perché più quale quali quando quanti quanto sei sono un una uno è
    ao aos com da das do dos e em é eu isso mais melhor melhores na nas no nos o onde os ou para
    pode por quais qual quando quantos que são se sua tem um uma você
    aan deze dit een eet en er goed het hoe hoeveel ik is je kan mag met mijn naar niet ook of op te
    van veel voor waar waarom wanneer wat we welke wie zijn"""
    )
    - COMMON
    - word_set("i son come on no do one me am as at he we all of is die per dos plus")
)

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return the words of `text`, case-folded, in order: runs of letters and digits."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def singular(word: str) -> str:
    """Return `word` without a plural ending, roughly: "museums" and "museum" become one."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word


# A question is asked for its language by the search, the spelling and each passage found.
@lru_cache(maxsize=1 << 9)
def is_english(text: str) -> bool:
    """Tell whether `text` has as many of the common English words as English has, or is short."""
    found = words(text)
    if is_foreign(text):
        return False
    return len(found) < 3 or sum(word in COMMON for word in found) >= ENGLISH_SHARE * len(found)


@lru_cache(maxsize=1 << 9)
def is_foreign(text: str) -> bool:
    """Tell whether `text` is in another script, or has more common words of other languages."""
    letters = [character for character in text if character.isalpha()]
    if sum(_is_latin(letter) for letter in letters) < len(letters) / 2:
        return True
    found = words(text)
    foreign = sum(word in FOREIGN for word in found)
    common = sum(word in COMMON for word in found)
    return foreign > common or foreign == common >= 2


def _is_latin(letter: str) -> bool:
    return letter < "\u0250" or "\u1e00" <= letter < "\u2000"


def content_words(text: str) -> list[str]:
    """Return the distinct words of `text` that carry its subject, in order of appearance."""
    return list(dict.fromkeys(word for word in words(text) if word not in COMMON))
