"""The body of a request as a JSON object, strict and bounded: the contract, section 2."""

import json
import re
from collections import Counter
from typing import Any

from starlette.requests import Request

from ...errors import RiverrunError
from ...json_input import DepthError, parse_json

BODY_LIMIT = 64 * 1024

# A name that an error may repeat: no text of a person, and nothing that a log would show otherwise.
_SHORT_NAME = re.compile(r"\w{1,64}", re.ASCII)
_JSON = re.compile(r"application/(json|[\w.+-]+\+json)", re.IGNORECASE)


class RequestError(RiverrunError):
    """A request that is refused before it becomes a run; `code` says why."""

    code = "invalid_request"


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that a POST brings, of at most `BODY_LIMIT` bytes.

    Raises `RequestError`: `unsupported_media`, `payload_too_large`, or as `parse_object`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if not _JSON.fullmatch(kind):
        # Also what stops a form on another site from posting here.
        raise RequestError("POST needs Content-Type: application/json.", code="unsupported_media")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError("Compressed bodies are not read.", code="unsupported_media")
    body = bytearray()
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > BODY_LIMIT:
        raise _too_large_error()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise _too_large_error()
    return parse_object(bytes(body))


def parse_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object from bytes, as strict as RFC 8259 allows.

    Raises `RequestError` (`invalid_json`) for anything else, duplicate names, NaN and Infinity
    included, and says which of them it is.
    """
    try:
        data = parse_json(
            body.decode("utf-8"),
            object_pairs_hook=_reject_duplicates,
            parse_constant=_reject_constant,
        )
    except UnicodeDecodeError as error:
        raise _invalid_json_error(f"is not UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _invalid_json_error(f"is not JSON ({place})") from error
    except DepthError as error:
        raise _invalid_json_error(f"is {error}") from error
    except ValueError as error:  # Python reads no whole number of thousands of digits
        raise _invalid_json_error("has a number that is too long") from error
    if not isinstance(data, dict):
        raise RequestError("The body must be a JSON object.", code="invalid_request")
    return data


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        named = f" ({twice})" if _SHORT_NAME.fullmatch(twice) else ""
        raise _invalid_json_error(f"has a name twice in one object{named}")
    return data


def _reject_constant(name: str) -> None:
    raise _invalid_json_error(f"has {name}, which JSON does not know")


def _invalid_json_error(finding: str) -> RequestError:
    return RequestError(f"The body {finding}.", code="invalid_json")


def _too_large_error() -> RequestError:
    return RequestError(f"The body is over {BODY_LIMIT} bytes.", code="payload_too_large")
