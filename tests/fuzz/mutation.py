"""Make inputs of a seed: pieces of what is expected, changed in a few places."""

import random
from collections.abc import Sequence
from typing import Any

# What readers stumble over, wherever it stands.
ODD = [
    "", " ", "\t", "\n", "\r", "\r\n", "\0", "\x0b", "\x1b[2J", "\x7f", "\u0085", "\u2028",
    "\ufeff",
    "\ud800", "\udfff", "\U0001f5fc", "e\u0301", "\u202e", "'", '"', "\\", "<", ">", "&", ";", ":",
    ",",
    "/", "..", "%", "%2F", "%00", "-", "_", "+", "0", "-1", "1e999", "NaN", "null", "9" * 25,
    "{", "}", "[", "]", "constructor", "__proto__", "\u0665",
]  # fmt: skip


def mutate(data: bytes, pieces: Sequence[bytes], chance: random.Random) -> bytes:
    """Change `data` in up to four places: bytes left out, put in, doubled or turned."""
    changed = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 4))):
        at = chance.randrange(len(changed) + 1)
        until = at + chance.choice((0, 0, 1, 2, 8, 40))
        kind = chance.random()
        if kind < 0.5:
            changed[at:until] = chance.choice(pieces)
        elif kind < 0.7:
            changed[at:until] = b""
        elif kind < 0.85:
            changed[at:at] = changed[at:until] * chance.choice((1, 2, 30))
        else:
            changed[at : at + 1] = bytes((chance.randrange(256),))
    return bytes(changed)


def make_text(chance: random.Random, most: int = 8) -> str:
    """A text of up to `most` pieces, odd ones among them."""
    return "".join(
        chance.choice(ODD) if chance.random() < 0.5 else chance.choice("abz Paris")
        for _ in range(chance.randrange(most + 1))
    )


def make_value(chance: random.Random, depth: int = 0) -> Any:
    """A value of JSON."""
    kind = chance.randrange(10 if depth < 3 else 7)
    if kind < 3:
        return make_text(chance)
    if kind < 5:
        return chance.choice((None, True, False, 0, 1, -1, 5, 20, 21, 1.5, 1e308, 10**30))
    if kind < 7:
        return chance.choice(("user", "assistant", "system", "text", "hi", "true", ""))
    if kind < 8:
        return [make_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return make_object(
        ("text", "type", "role", "content", "parts", "id", "name"), chance, depth + 1
    )


def make_object(names: Sequence[str], chance: random.Random, depth: int = 0) -> dict[str, Any]:
    """An object of JSON with some of these names, and now and then another."""
    chosen = [chance.choice(names) for _ in range(chance.randrange(6))]
    if chance.random() < 0.2:
        chosen.append(make_text(chance, 2))
    return {name: make_value(chance, depth) for name in chosen}


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """The same bytes in up to six pieces."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(6)))
    starts = [0, *places]
    return [data[a:b] for a, b in zip(starts, [*places, len(data)], strict=True)]
