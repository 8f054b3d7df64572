"""Python's garbage collector around a start: patient while modules are imported, then as usual.

It knows `gc` only.
"""

import gc

RELAXED_THRESHOLD = 100_000
"""Container objects that may be made before a collection looks for cycles. With Python's own
number, 700, a start looks hundreds of times through modules that are there to stay."""
_usual: list[tuple[int, int, int]] = []


def relax() -> None:
    """Look for cycles seldom, but still look: an import may make many."""
    _usual[:] = [gc.get_threshold()]
    gc.set_threshold(RELAXED_THRESHOLD, *_usual[0][1:])


def restore() -> None:
    """What is there now stays and is never looked through again; from here on, Python's way.

    A threshold the application has set meanwhile is left alone.
    """
    gc.freeze()
    if _usual and gc.get_threshold()[0] == RELAXED_THRESHOLD:
        gc.set_threshold(*_usual.pop())
