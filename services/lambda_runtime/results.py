"""What a handler function returned, as JSON: value for value what the stock runtime makes of it.

Bytes in a result are text, a decimal keeps its digits, what has `_asdict` is an object, and
bytes as the whole result are sent as they are. Standard library only.
"""

import json
import os
import re
from typing import Any

from . import wire

BYTES = "application/unknown"  # the stock runtime's type for a result that is not JSON


class MarshalError(ValueError):
    """The function returned something JSON cannot say. Lambda knows it by this name."""


def encode_result(result: object) -> tuple[bytes, str]:
    """The body to answer with and its content type. Raises `MarshalError`."""
    if isinstance(result, bytes):
        return result, BYTES
    # json has no number of arbitrary digits: decimals travel as marked strings.
    mark = os.urandom(8).hex()
    try:
        text = json.dumps(_convert(result, mark), ensure_ascii=False)
        if mark in text:
            text = re.sub(f'"{mark}([^"]*)"', r"\1", text)
        return text.encode(), wire.JSON
    except (TypeError, ValueError, RecursionError) as error:
        raise MarshalError(f"Unable to marshal response: {error}") from error


def _convert(value: Any, mark: str) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is float or kind is bool or value is None:
        return value
    if callable(as_dict := getattr(value, "_asdict", None)):
        value = as_dict()
    if isinstance(value, dict):
        return {_convert_key(key): _convert(item, mark) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_convert(item, mark) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    from decimal import Decimal  # rare, and no part of a cold start

    if isinstance(value, Decimal):
        return float("nan") if value.is_nan() else f"{mark}{value}"
    return value  # a subclass of a plain type; json refuses everything else


def _convert_key(key: Any) -> Any:
    return key.decode() if isinstance(key, bytes) else key
