"""The Accept header (RFC 9110, section 12.5.1), as far as choosing a stream needs it."""

import math


def quality(accept: str, content_type: str) -> float:
    """Return how welcome `content_type` is, 0 (not at all) to 1. An empty header welcomes all."""
    if not accept.strip():
        return 1.0
    major = content_type.partition("/")[0]
    ranges = _ranges(accept)
    for name in (content_type, f"{major}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0


def explicit_quality(accept: str, content_type: str) -> float:
    """Return the same for a header that names `content_type` in full, else 0."""
    return _ranges(accept).get(content_type, 0.0)


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = _weight(value.strip())
        if name:
            ranges[name] = max(weight, ranges.get(name, 0.0))
    return ranges


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return 1.0 if math.isnan(weight) else min(1.0, max(0.0, weight))
