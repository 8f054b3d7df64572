"""Find the error in what a model service sent, whatever its shape.

Services that call themselves compatible report errors as ``{"error": {...}}``,
``{"error": "text"}``, ``{"message": ...}`` or ``{"detail": [...]}``, as a page of HTML or as plain
text; before a stream, in the middle of one, and with status 200. Reads values only;
`provider_errors` says what they mean.
"""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ...json_input import parse_json
from ..service_error import ServiceError

MAX_BODY = 64 << 10
"""Bytes of an error's body that are read."""

# Characters of a page of HTML that are read: its beginning says what it is, and a tag that is never
# closed is looked for up to the end, from each place anew.
MAX_PAGE = 4 << 10

# Milliseconds. A later moment is no time to ask again.
MAX_WAIT = 86_400_000

_TAGS = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_WAIT_IN_TEXT = re.compile(
    r"(?:try again|retry) (?:in|after) (?:about )?(\d+(?:\.\d+)?) ?"
    r"(ms|milliseconds?|m\b|min|s\b|sec)?",
    re.IGNORECASE,
)

_TEXT_KEYS = ("message", "msg", "error_msg", "errorMessage", "status_msg", "detail", "title",
              "error_description", "reason", "description")  # fmt: skip
_NAME_KEYS = ("code", "type", "error_code", "errorCode", "__type", "status", "name", "status_code")
_UNSAID = frozenset({"", "error", "none", "null", "0", "about:blank"})


def read_error_body(status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """Make the error of a response that is one by its status or by its content."""
    text = body[:MAX_BODY].decode("utf-8", "replace").lstrip("\ufeff").strip()
    wait = read_retry_after(headers)
    try:
        value = parse_json(text)
    except ValueError:
        value = None
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0]  # as some of Google's endpoints do
    found = find_error(value) if isinstance(value, dict) else None
    if found is None and isinstance(value, dict) and status >= 400:
        found = _read_object(value)
    if found is None:
        found = ServiceError(text=_read_page(text) if text.startswith("<") else text)
    return ServiceError(
        status=status or found.status,
        name=found.name,
        text=found.text,
        param=found.param,
        retry_after_ms=wait if wait is not None else found.retry_after_ms,
    )


def find_error(value: Mapping[str, Any]) -> ServiceError | None:
    """Return the error that a JSON object reports; None where it is a part of an answer."""
    error = value.get("error")
    if isinstance(error, dict) and error:
        return _read_object(error)
    if isinstance(error, str) and error.strip():
        return _read_object({**value, "message": error, "error": None})
    if isinstance(error, list) and error:
        return _read_object({"detail": error})
    base = value.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return _read_object(base)
    return _read_object(value) if _is_bare_error(value) else None


def _is_bare_error(value: Mapping[str, Any]) -> bool:
    """Return whether the object is an error without a key that says so."""
    if "choices" in value or isinstance(value.get("message"), dict) or value.get("type") == "ping":
        return False
    if value.get("object") == "error" or value.get("type") == "error" or value.get("errors"):
        return True
    if value.get("code") in (0, "0", 200, "200", "success") or value.get("success") is True:
        return False
    return any(isinstance(value.get(key), str | list) for key in (*_TEXT_KEYS[:3], "detail"))


def read_retry_after(headers: Mapping[str, str]) -> int | None:
    """Return the milliseconds that the headers ask to wait, by a number or by a date."""
    exact = _parse_number(headers.get("retry-after-ms"), 1)
    if exact is not None:
        return exact
    value = headers.get("retry-after")
    seconds = _parse_number(value, 1000)
    if seconds is not None or not value:
        return seconds
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(MAX_WAIT, max(0, round((moment - time.time()) * 1000)))


def _read_object(value: Mapping[str, Any]) -> ServiceError:
    text, param = _read_text(value)
    if text.startswith("{"):
        # A gateway that puts the error of the service behind it into its own, as text.
        try:
            inner = parse_json(text)
        except ValueError:
            inner = None
        found = find_error(inner) if isinstance(inner, dict) else None
        if found is not None:
            return found
    name, status = "", 0
    for key in _NAME_KEYS:
        said = value.get(key)
        if isinstance(said, int) and not isinstance(said, bool):
            said = str(said)
        if not isinstance(said, str) or said.strip().lower() in _UNSAID:
            continue
        # Of three digits: of thousands Python makes no number, and raises.
        if said.isdecimal() and len(said) == 3 and 400 <= int(said) <= 599:
            status = status or int(said)
        elif not name:
            name = said[:80]
    metadata = value.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        text = f"{text}: {metadata['raw']}"
    named = value.get("param")
    return ServiceError(
        status=status,
        name=name.rpartition("#")[2],
        text=text,
        param=named if isinstance(named, str) else param,
        retry_after_ms=_find_wait(text),
    )


def _read_text(value: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text of an error object, and the parameter where it has one by itself."""
    for key in _TEXT_KEYS:
        said = value.get(key)
        if isinstance(said, str) and said.strip():
            return said.strip(), ""
        if isinstance(said, list) and said:
            return _read_details(said)
        if isinstance(said, dict) and said:
            text, param = _read_text(said)
            if text:
                return text, param
    for key in ("errors", "error", "details"):
        if isinstance(said := value.get(key), list) and said:
            return _read_details(said)
    return "", ""


def _read_details(details: list[Any]) -> tuple[str, str]:
    # FastAPI's ``{"loc": ["body", "temperature"], "msg": ..., "input": ...}``. The input, which is
    # the whole prompt at times, is not for the logger.
    texts, param = [], ""
    for detail in details[:5]:
        if isinstance(detail, dict):
            place = detail.get("loc") or detail.get("path") or detail.get("field")
            parts = [str(part) for part in place] if isinstance(place, list) else [str(place or "")]
            named = ".".join(part for part in parts if part and part != "body")
            param = param or named
            said, _ = _read_text({key: detail.get(key) for key in _TEXT_KEYS})
            texts.append(f"{named}: {said}" if named else said)
        elif isinstance(detail, str):
            texts.append(detail)
    return "; ".join(text for text in texts if text), param


def _read_page(page: str) -> str:
    page = page[:MAX_PAGE]
    title = _TITLE.search(page)
    words = title[1] if title and title[1].strip() else _TAGS.sub(" ", page)
    return f"a page of HTML: {' '.join(words.split())}"


def _find_wait(text: str) -> int | None:
    found = _WAIT_IN_TEXT.search(text)
    if found is None:
        return None
    unit = (found[2] or "s").lower()
    scale = (
        1
        if (unit.startswith("mi") and unit != "min") or unit == "ms"
        else 60_000
        if unit in ("m", "min")
        else 1000
    )
    return _parse_number(found[1], scale)


def _parse_number(value: str | None, scale: int) -> int | None:
    try:
        number = float(value) * scale if value else -1.0
        return min(MAX_WAIT, round(number)) if 0 <= number < float("inf") else None
    except (ValueError, OverflowError):
        return None
