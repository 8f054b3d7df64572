"""The head of a GGUF file, made for a test."""

import struct
from collections.abc import Sequence
from pathlib import Path

TOKENS = (("<unk>", 2), ("<|im_start|>", 3), ("<|im_end|>", 3), ("<think>", 4), ("  ", 4), ("a", 1))


def text(value: str) -> bytes:
    """A string as GGUF writes it."""
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def small_gguf(
    path: Path, tokens: Sequence[tuple[str, int]] = TOKENS, window: int | None = 2048
) -> Path:
    """Write the head of a model's file: its words, their types, and its window."""
    facts = [
        text("general.architecture") + struct.pack("<I", 8) + text("tiny"),
        text("general.quantized") + struct.pack("<I?", 7, True),
        text("tokenizer.ggml.tokens")
        + struct.pack("<IIQ", 9, 8, len(tokens))
        + b"".join(text(word) for word, _ in tokens),
        text("tokenizer.ggml.token_type")
        + struct.pack("<IIQ", 9, 5, len(tokens))
        + b"".join(struct.pack("<i", kind) for _, kind in tokens),
    ]
    if window is not None:
        facts.append(text("tiny.context_length") + struct.pack("<II", 4, window))
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(facts)) + b"".join(facts))
    return path
