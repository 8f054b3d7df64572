"""Recognise what is said to the engine rather than asked of the documents.

Shared by retrieval, which need not search for it, and the embedded engine, which answers it.
English with a few words of its neighbours, and whole utterances only: "Hi" is a greeting, "Hi,
where can I eat in Rome?" is a question.
"""

import re
import unicodedata
from functools import cache
from typing import Literal

SmallTalk = Literal[
    "greeting", "thanks", "nod", "goodbye", "about", "sources", "joke", "language", "rework"
]
"""`nod` says nothing ("ok"); `about` asks what this is and can do, `sources` where the last answer
is from; `language` wants another language, `rework` the last answer in another form."""

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
        r"(?:\W+(?:that|this|it|you)(?:'s| is| was| are| have been)? .{0,12}?"
        r"(?:help(?:s|ed|ful)?|great|nice|useful|perfect|awesome|kind|all)(?: me)?(?: a lot)?)?"
        r"|(?:that|this|it) (?:really )?help(?:s|ed)(?: me)?"
        r"|thx|ty|cheers"
        r"|(?:that'?s |this is )?(?:great|perfect|awesome|nice|cool|wonderful|helpful|brilliant)"
        r"|got it|i see|makes sense|danke(?: schön)?|merci(?: beaucoup)?|gracias|grazie"
        r"|well done|good (?:job|answer|bot))"
    ),
    "nod": (
        r"(?:ok(?:ay|ey)?|k|alright|all right|fine|sure|yes|yeah|yep|no|nope|no thanks|no thank you"
        r"|never ?mind|sorry|hm+|ah+|oh|wow|lol|haha+|test(?:ing)?|understood|interesting)"
    ),
    "goodbye": (
        r"(?:(?:good)?bye(?: bye)?|see (?:you|ya)(?: later| soon)?|good night|ciao ciao|tschüss)"
    ),
    "about": (
        r"(?:who|what) are you|what(?:'s| is) your name|what (?:can|do) you (?:do|know|offer)"
        r"(?: for me)?|what can i ask(?: you)?(?: about)?|what is this(?: page| site| demo)?"
        r"|how (?:do you|does this) work|are you (?:an? )?(?:ai|bot|robot|human|chat ?gpt|person"
        r"|llm|language model)|help(?: me)?|what do you know about|what are your sources"
        r"|who (?:made|built|wrote|created|designed|runs) (?:you|this)"
        r"|which model (?:are you|is this)|can you help me"
        r"|how old are you|where (?:are you|do you come) from"
        r"|are you (?:there|real|free|open source)"
        r"|(?:what|which) (?:\w+ )?\w+ do you (?:know|have|cover)(?: about)?"
        r"|(?:what|which) (?:cities|places|countries|documents|topics|subjects|chapters|pages)"
        r" (?:are (?:there|here|covered|available|in here)|can i ask(?: you)? about)"
        r"|(?:list|show)(?: me)?(?: all)?(?: the| your)? (?:documents|topics|cities|contents)"
        r"|what(?: is|'?s) in (?:here|there|this|the (?:documents|guide|index))"
        r"|was kannst du|wer bist du|que (?:sais|peux)-tu(?: faire)?|qui es-tu"
        r"|(?:qué|que) puedes hacer|quién eres"
    ),
    "sources": (
        r"(?:(?:give|show|tell)(?: me)? )?(?:the |your )?(?:sources?|references?|citations?)"
        r"|where (?:is that|did you (?:get|find|read)) (?:that|this|it)?(?: from)?"
        r"|how do you know(?: that| this)?|says who|who says(?: that| so)?"
        r"|are you (?:really |quite )?sure(?: about that)?|is (?:that|this) (?:true|correct|right)"
        r"|(?:no )?(?:that|this|it)(?:'s| is)"
        r" (?:wrong|false|not (?:true|right|correct|what i .{1,20}))"
        r"|wrong|you are wrong"
    ),
    "joke": (
        r"(?:tell|say|know)(?: me)? (?:a |another |some |any )?"
        r"(?:jokes?|poems?|stor(?:y|ies)|something funny)"
        r"|make me laugh|sing(?: me)? a song|surprise me|entertain me"
        r"|(?:write|compose|make up)(?: me)? an? (?:short |funny |little )*"
        r"(?:poem|song|story|joke|essay|haiku|limerick|letter|e-?mail|tweet)\b.{0,80}"
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
        r"|tl;?dr|again|sum (?:it|that) up|summary|eli5|keep it (?:short|simple|brief)"
        r"|(?:(?:can|could) you )?"
        r"(?:explain|say|put|tell me|give me|write|repeat|rephrase|summari[sz]e)"
        r" (?:(?:that|it|this|the answer|me) ?)*"
        r"(?:again|differently|more (?:simply|briefly|clearly)"
        r"|in (?:simpler|other|plain|easier|fewer|your own|simple|short|one|two|three|a few)"
        r" (?:words?|terms|english|sentences?|lines?)"
        r"|(?:as|in) (?:a )?(?:list|table|bullet points|bullets)|like i'?m .{1,12})"
        r"|in (?:simpler|plain|fewer|simple|one|two|a few) (?:words?|terms|sentences?)"
        r"|(?:as|in) (?:a )?(?:list|table|bullet points|bullets)"
    ),
}
_AFTER = (
    r"(?:\W+(?:please|pls|bitte|por favor|now|today|again|then|there|for me|a lot|everyone|all"
    r"|you))*"
)


@cache
def _compile(kind: SmallTalk) -> re.Pattern[str]:
    # At the first question and not at the import: a cold start answers its first byte earlier.
    return re.compile(rf"\W*{_FILLER}(?:{_PATTERNS[kind]}){_AFTER}\W*")


LONGEST = 120
"""Characters; what is longer asks for something."""


def find_small_talk(text: str) -> SmallTalk | None:
    """Return what kind of small talk `text` is as a whole, None when it is a question."""
    folded = text.casefold().strip()
    if len(folded) > LONGEST:
        return None
    if not any(character.isalnum() for character in folded):
        waves = any(unicodedata.category(character) == "So" for character in folded)
        return "greeting" if waves else "nod" if folded else None
    return next((kind for kind in _PATTERNS if _compile(kind).fullmatch(folded)), None)
