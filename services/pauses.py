"""Keep the pauses short for which the event loop of a process of many streams stands still.

Each is the interpreter's: one thread keeps it while another one asks, and the garbage collector
looks through all that there is. Only a host that says so is changed: both are of the process.
"""

import gc
import sys

# How long a thread keeps the interpreter while another one asks for it, in seconds. Those that
# search, or read what Bedrock sends, may keep it for Python's own 5 ms each: every stream waits.
SWITCH_SECONDS = 0.0005

# What the first answers have loaded (the index, the words, a client) is there to stay.
FIRST_ANSWERS = 2

_answers_left: list[int] = []


def shorten_pauses() -> None:
    """Have threads give the interpreter back soon, and spare the collector what is to stay."""
    sys.setswitchinterval(SWITCH_SECONDS)
    _answers_left[:] = [FIRST_ANSWERS]


def note_answer() -> None:
    """Have the collector never again look through what is there, after each of the first answers.

    A look through all of it takes some 70 ms, for which no stream goes on. Where no host has asked
    for short pauses, nothing is done.
    """
    if _answers_left and _answers_left[0] > 0:
        _answers_left[0] -= 1
        gc.freeze()
