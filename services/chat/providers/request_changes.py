"""Change a request that a service refused for one of its parameters, and remember the change.

Services differ in which parameters they know, in their names and in their highest values. They
refuse such a request before they do anything, so asking once more costs nothing. Knows the
requests of Chat Completions and of ConverseStream.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from ..provider_errors import is_answer_limit, is_question_too_long
from ..service_error import ServiceError

Request = dict[str, Any]

MAX_CHANGES = 5
"""Of one question. More would be a service that refuses whatever it gets."""

_REFUSES = re.compile(
    r"unsupported|not supported|does ?n[o']t support|no support|unrecognized|unrecognised|unknown"
    r"|unexpected|not permitted|not allowed|forbidden|not (?:a )?valid|invalid|extraneous"
    r"|additional propert|deprecated|no longer|not recognized|must be (?:unset|omitted|removed|1\b)"
    r"|cannot be (?:set|used|specified)|may only be|only the default|only supports?|not available"
    r"|not applicable|mutually exclusive|cannot both|is required|not implemented|please remove",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"(?<![\w.])\d{2,7}(?![\w.]*\d)")
_VALUES = re.compile(r"['\"`](none|minimal|low|medium|high|xhigh)['\"`]")

_LIMITS = ("max_tokens", "max_completion_tokens")


class RequestChanges:
    """The changes that one service needs. `apply` them to each request; `learn` from a refusal."""

    def __init__(self) -> None:
        self._changes: list[tuple[str, Callable[[Request], Request]]] = []

    def apply(self, request: Request) -> Request:
        """Return `request` as this service takes it."""
        for _, change in self._changes:
            request = change(request)
        return request

    def learn(self, request: Request, error: ServiceError) -> str:
        """Find the change that `error` asks for, and return what it does; "" where there is none.

        `request` is the refused one, changes applied.
        """
        if not _is_refusal(error) or len(self._changes) >= 2 * MAX_CHANGES:
            return ""
        for find in (_find_other_limit, _find_lower_limit, _find_effort, _find_removal):
            found = find(request, error)
            if found is not None and found[1](request) != request:
                self._changes.append(found)
                return found[0]
        return ""


Found = tuple[str, Callable[[Request], Request]] | None


def _is_refusal(error: ServiceError) -> bool:
    if error.status in (400, 422) or error.name.lower().startswith("validation"):
        return True
    # A server that hands the parameters on to a function, which does not know one of them.
    return "unexpected keyword argument" in error.text


def _find_other_limit(request: Request, error: ServiceError) -> Found:
    for name in _LIMITS:
        other = _LIMITS[name == _LIMITS[0]]
        if name not in request or not _names(error, name):
            continue
        if is_answer_limit(error.text) and other not in error.text:
            return None
        if _REFUSES.search(error.text) or other in error.text:

            def rename(request: Request, name: str = name, other: str = other) -> Request:
                return {other if key == name else key: value for key, value in request.items()}

            return f"{other} for {name}", rename
    return None


def _find_lower_limit(request: Request, error: ServiceError) -> Found:
    if not is_answer_limit(error.text) or is_question_too_long(error.text):
        return None
    asked = _read_limit(request)
    fitting = [number for number in map(int, _NUMBERS.findall(error.text)) if 16 <= number < asked]
    if not fitting:
        return None
    limit = max(fitting)
    return f"a limit of {limit} tokens", lambda request: _lower_limit(request, limit)


def _find_effort(request: Request, error: ServiceError) -> Found:
    effort = request.get("reasoning_effort")
    if effort is None or not _names(error, "reasoning_effort"):
        return None
    values = [value for value in _VALUES.findall(error.text) if value != effort]
    value = next((value for value in ("low", "medium", "high") if value in values), None)
    if value is None:
        return None

    def change(request: Request) -> Request:
        if "reasoning_effort" not in request:
            return request
        return {**request, "reasoning_effort": value}

    return f"reasoning_effort {value}", change


def _find_removal(request: Request, error: ServiceError) -> Found:
    if not (_REFUSES.search(error.text) or error.param):
        return None
    for path in _OPTIONAL:
        if not _names(error, path[-1]) or not _has(request, path):
            continue
        if path == ("stream",) and _names(error, "stream_options"):
            continue
        return f"no {path[-1]}", partial(_remove, path)
    if re.search(r"system", error.text) and _has_system_role(request):
        return "the instructions in the first question", _move_system
    return None


# What an answer is possible without, what is likeliest to be refused first.
_OPTIONAL: tuple[tuple[str, ...], ...] = (
    ("stream_options",),
    ("reasoning_effort",),
    ("temperature",),
    ("inferenceConfig", "temperature"),
    ("additionalModelRequestFields", "reasoningConfig"),
    ("additionalModelRequestFields", "output_config"),
    ("additionalModelRequestFields", "thinking"),
    ("additionalModelRequestFields", "reasoning_effort"),
    ("inferenceConfig", "maxTokens"),
    ("max_tokens",),
    ("max_completion_tokens",),
    ("stream",),
)


def _names(error: ServiceError, name: str) -> bool:
    if error.param.rpartition(".")[2] == name:
        return True
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    words = {name, snake, snake.replace("_", " ")} if "_" in snake else {name}
    pattern = "|".join(map(re.escape, sorted(words)))
    return bool(re.search(rf"(?<![\w-])(?:{pattern})(?![\w-])", error.text, re.IGNORECASE))


def _has(request: Request, path: tuple[str, ...]) -> bool:
    value: Any = request
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def _remove(path: tuple[str, ...], request: Request) -> Request:
    if not _has(request, path):
        return request
    key, *rest = path
    if rest:
        inner = _remove(tuple(rest), request[key])
        if inner:
            return {**request, key: inner}
    return {name: value for name, value in request.items() if name != key}


def _read_limit(request: Request) -> int:
    inner = request.get("inferenceConfig", {})
    return max(*(int(request.get(name, 0)) for name in _LIMITS), int(inner.get("maxTokens", 0)))


def _lower_limit(request: Request, limit: int) -> Request:
    lowered = {
        name: min(value, limit) if name in _LIMITS else value for name, value in request.items()
    }
    inner = lowered.get("inferenceConfig", {})
    if "maxTokens" in inner:
        lowered["inferenceConfig"] = {**inner, "maxTokens": min(inner["maxTokens"], limit)}
    return lowered


def _has_system_role(request: Request) -> bool:
    messages = request.get("messages") or [{}]
    return bool(messages[0].get("role") == "system" or request.get("system"))


def _move_system(request: Request) -> Request:
    """Put the instructions in front of the first question, for models without a system prompt."""
    if not _has_system_role(request):
        return request
    if "system" in request:
        first, *others = request["messages"]
        texts = [block for block in request["system"] if "text" in block]
        moved = {**first, "content": [*texts, *first["content"]]}
        rest = {name: value for name, value in request.items() if name != "system"}
        return {**rest, "messages": [moved, *others]}
    system, first, *others = request["messages"]
    moved = {**first, "content": f"{system['content']}\n\n{first['content']}"}
    return {**request, "messages": [moved, *others]}
