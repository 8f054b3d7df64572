"""Recognise what is said to the engine rather than asked of the documents.

Shared by retrieval, which need not search for it, and the embedded engine, which answers it.
English with a few words of its neighbours, and whole utterances only: "Hi" is a greeting, "Hi,
where can I eat in Rome?" is a question.
"""

import re
import unicodedata
from typing import Literal

SmallTalk = Literal["greeting", "thanks", "goodbye", "about", "joke", "language", "rework"]
"""`about` asks what this is and can do; `language` wants another language, `rework` the last
answer in another form."""

_FILLER = (
    r"(?:(?:please|pls|hi|hey|hello|there|again|then|ok(?:ay)?|so|well|oh|all|everyone|you|mate"
    r"|bot)\W+)*"
)
_LANGUAGES = (
    r"(?:english|german|deutsch|french|fran[cç]ais|spanish|espa[nñ]ol|italian|italiano|dutch"
    r"|portuguese|polish|russian|chinese|japanese|korean|arabic|turkish|hindi|swedish|danish"
    r"|norwegian|finnish|greek|czech|ukrainian)"
)
_PATTERNS: dict[SmallTalk, str] = {
    "greeting": (
        r"(?:hi+|hello+|hey+|hiya|howdy|yo|greetings|good (?:morning|afternoon|evening|day)"
        r"|how are you(?: doing| today)*|how do you do|what'?s up|nice to meet you"
        r"|hallo|guten tag|moin|bonjour|salut|hola|ciao)"
    ),
    "thanks": (
        r"(?:(?:many |great )?thank(?:s| you)(?: (?:so|very) much| a lot| for .{1,40})?"
        r"|thx|ty|cheers"
        r"|(?:that'?s |this is )?(?:great|perfect|awesome|nice|cool|wonderful|helpful|brilliant)"
        r"|got it|i see|makes sense|danke(?: schön)?|merci(?: beaucoup)?|gracias|grazie"
        r"|well done|good (?:job|answer|bot))"
    ),
    "goodbye": (
        r"(?:(?:good)?bye(?: bye)?|see (?:you|ya)(?: later| soon)?|good night|ciao ciao|tschüss)"
    ),
    "about": (
        r"(?:who|what) are you|what(?:'s| is) your name|what (?:can|do) you (?:do|know|offer)"
        r"(?: for me)?|what can i ask(?: you)?(?: about)?|what is this(?: page| site| demo)?"
        r"|how (?:do you|does this) work|are you (?:an? )?(?:ai|bot|robot|human|chat ?gpt|person"
        r"|llm|language model)|help(?: me)?|what do you know about|what are your sources"
        r"|who (?:made|built|wrote) you|which model (?:are you|is this)|can you help me"
    ),
    "joke": (
        r"(?:tell|say|know)(?: me)? (?:a |another |some |any )?"
        r"(?:jokes?|poems?|stor(?:y|ies)|something funny)"
        r"|make me laugh|sing(?: me)? a song|write(?: me)? a (?:poem|song|story|joke)"
    ),
    "language": (
        rf"(?:(?:can|could) you )?(?:(?:say|write|give|put|repeat|translate|answer|speak|reply)"
        rf"(?: (?:it|that|this|me|the answer|to me))* )?(?:in|into|to|auf|en) {_LANGUAGES}"
        rf"|do you speak {_LANGUAGES}|translate(?: that| this| it)?"
    ),
    "rework": (
        r"(?:(?:can|could) you )?(?:make (?:it|that|this) |a bit |much |say (?:it|that) )?"
        r"(?:shorter|longer|simpler|briefer|clearer|more briefly|in one sentence|in short|briefly"
        r"|in other words|as a list)"
        r"|(?:can|could) you (?:repeat|rephrase|summari[sz]e|shorten)"
        r"(?: (?:that|this|it|the answer))?"
        r"|(?:summari[sz]e|repeat|rephrase|shorten|explain)"
        r"(?: (?:that|this|it|the answer|your answer))?"
        r"|tl;?dr|again|sum (?:it|that) up"
    ),
}
_AFTER = (
    r"(?:\W+(?:please|pls|bitte|por favor|now|today|again|then|there|for me|a lot|everyone|all"
    r"|you))*"
)
_COMPILED = tuple(
    (kind, re.compile(rf"\W*{_FILLER}(?:{pattern}){_AFTER}\W*"))
    for kind, pattern in _PATTERNS.items()
)

LONGEST = 120
"""Characters; what is longer asks for something."""


def find_small_talk(text: str) -> SmallTalk | None:
    """Return what kind of small talk `text` is as a whole, None when it is a question."""
    folded = text.casefold().strip()
    if len(folded) > LONGEST:
        return None
    if not any(character.isalnum() for character in folded):
        waves = any(unicodedata.category(character) == "So" for character in folded)
        return "greeting" if waves else None
    return next((kind for kind, pattern in _COMPILED if pattern.fullmatch(folded)), None)
