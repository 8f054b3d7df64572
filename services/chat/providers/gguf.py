"""Read from a GGUF file which words steer its model, and how much it reads at once.

Reads the metadata at the head of the file (the GGUF specification, versions 2 and 3, little
endian) and no weights. Knows no runtime.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import SetupError

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip

# A token's type: unknown, control, user defined. The others are text.
_STEERING = (2, 3, 4)

# More would be no vocabulary and no template: a broken file must not take all memory.
_MAX_COUNT = 1 << 24


@dataclass(frozen=True, slots=True)
class GgufModel:
    """A model as its file describes it.

    `steering` are the tokens that mean something to the model beside their letters, like
    ``<|im_end|>``. `window` is how many tokens it was trained to read, None if not said.
    """

    steering: tuple[str, ...]
    window: int | None


def read_model(path: Path) -> GgufModel:
    """Describe the model in `path`.

    Raises `SetupError` when the file cannot be read or is not a GGUF.
    """
    try:
        with path.open("rb") as file:
            facts = _read_facts(file)
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from error
    except (struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise SetupError(
            f"{path} is not a GGUF file, or only a part of one: {error}. "
            "Download it again, or name another one in RIVERRUN_CHAT_GGUF."
        ) from error
    words = facts.get("tokenizer.ggml.tokens", [])
    kinds = facts.get("tokenizer.ggml.token_type", [])
    return GgufModel(
        steering=tuple(
            word
            for word, kind in zip(words, kinds, strict=False)
            # Some models define mere white space as a token; it steers nothing.
            if kind in _STEERING and len(word) > 2 and not word.isspace()
        ),
        window=facts.get(f"{facts.get('general.architecture', '')}.context_length"),
    )


def _read_facts(file: BinaryIO) -> dict[str, Any]:
    if file.read(4) != _MAGIC:
        raise ValueError("it does not begin as one")
    version, _tensors, count = (
        _read_number(file, "<I"),
        _read_number(file, "<Q"),
        _read_number(file, "<Q"),
    )
    if version not in (2, 3):
        raise ValueError(f"version {version} is not known here")
    return dict(_read_fact(file) for _ in range(_check_count(count)))


def _read_fact(file: BinaryIO) -> tuple[str, Any]:
    key = _read_text(file)
    return key, _read_value(file, _read_number(file, "<I"))


def _read_value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _read_text(file)
    if kind != _ARRAY:
        return _read_number(file, _NUMBERS[kind])
    inner, length = _read_number(file, "<I"), _check_count(_read_number(file, "<Q"))
    if inner in _NUMBERS:
        layout = f"<{length}{_NUMBERS[inner][1]}"
        return struct.unpack(layout, file.read(struct.calcsize(layout)))
    return [_read_value(file, inner) for _ in range(length)]


def _read_text(file: BinaryIO) -> str:
    length = _check_count(_read_number(file, "<Q"))
    data = file.read(length)
    if len(data) < length:
        raise ValueError("it ends too soon")
    # A token may be a part of a character.
    return data.decode("utf-8", "replace")


def _read_number(file: BinaryIO, layout: str) -> Any:
    (value,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
    return value


def _check_count(count: int) -> int:
    if count > _MAX_COUNT:
        raise ValueError("its head does not add up")
    return count
