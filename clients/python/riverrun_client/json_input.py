"""Parse JSON that comes from outside, with a bound on its depth that is ours.

How deep `json.loads` follows brackets depends on the Python version and on the stack below it, and
where it gives up it raises `RecursionError`, which is no `ValueError`. The same code with a limit
of its own is in `services`, `services/lambda_runtime` and `emulator`,
which import nothing of each other; a test compares them.
"""

import json
import re
from typing import Any

# Deeper than anything a server of ours sends, and well inside Python's recursion limit.
MAX_DEPTH = 500

# A string, closed or not, or one bracket. The possessive repeats keep the scan linear.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{\]}]', re.DOTALL)


class DepthError(ValueError):
    """The text is nested deeper than is read here."""


def parse_json(text: str | bytes | bytearray, **options: Any) -> Any:
    """Parse `text` as `json.loads(text, **options)` does.

    Raises `ValueError` for what is not JSON, `DepthError` for more than `MAX_DEPTH` levels.
    """
    if not isinstance(text, str):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    # Fewer brackets than levels allowed, as in most texts: no need to look where they are.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    return json.loads(text, **options)


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        bracket = token[0]
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise DepthError(f"nested more than {MAX_DEPTH} levels deep")
        elif bracket in "]}":
            depth -= 1
