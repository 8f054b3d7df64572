"""What a fake model says without a script: it quotes the first passage, and cites it.

It reads the prompt as a model would: passages stand between fences, each with its number.
"""

import re

_PASSAGE = re.compile(r"<passage [^>]*>\nTitle: [^\n]*\n(.*?)\n</passage", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?]{20,}[.!?]")


def answer_to(prompt: str) -> str:
    """A sentence of the first passage with its citation; an apology without passages."""
    for number, passage in enumerate(_PASSAGE.findall(prompt), 1):
        line = " ".join(passage.split())
        if found := _SENTENCE.search(line):
            return f"{found.group().strip()} [{number}]"
    return "The documents do not say."


def words(text: str) -> list[str]:
    """`text` in pieces of a word and the space behind it."""
    return re.findall(r"\S+\s*", text)
