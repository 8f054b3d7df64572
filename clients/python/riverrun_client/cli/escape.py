"""What a server says, made safe for a terminal.

A model's answer is untrusted text. An escape sequence in it could move the cursor, rewrite
what stands above, set the title, or fill the clipboard; so no control character is ever printed.
It is shown as its picture instead: the text stays whole, and harmless.
"""

import json
from typing import Any

# C0 and DEL have pictures of their own in Unicode. C1 has none: U+009B alone begins an escape
# sequence on many terminals. The embeddings and overrides (U+202A..E, U+2066..9) reorder the
# text around them, so that what is read is not what is there.
_PICTURES = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"),
    # Half a character, which no encoding can write.
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}
_IN_TEXT = {**_PICTURES, 0x0A: "\n", 0x09: "\t", 0x0D: None, 0x2028: "\n", 0x2029: "\n"}
_IN_LINE = {**_PICTURES, **dict.fromkeys([0x09, 0x0A, 0x0D, 0x85, 0x2028, 0x2029], " ")}

# The same in JSON: escaped, so that the value stays what it was; the two line ends too, which
# some readers of lines take for one.
_IN_JSON = {
    code: f"\\u{code:04x}"
    for code in (*_PICTURES, 0x2028, 0x2029)
    if code >= 0x7F  # below it json escapes them itself
}


def escape_text(text: str) -> str:
    """`text` with line ends and tabs, and every other control character as its picture."""
    return text.translate(_IN_TEXT)


def escape_line(text: str) -> str:
    """The same on one line."""
    return text.translate(_IN_LINE)


def escape_json(value: Any) -> str:
    """`value` as one line of JSON without a control character in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_IN_JSON)
