"""What a caller may say with a question: its options, and the functions to be called.

The names are the contract's and the JavaScript client's. Knows nothing of connections.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict, cast

from riverrun_client.errors import RiverrunError
from riverrun_client.events import (
    Event,
    Final,
    Reset,
    Result,
    RetryNotice,
    Source,
    Sources,
    Status,
    Token,
)
from riverrun_client.requests import Question


class Callbacks(TypedDict, total=False):
    """Functions to call. Each is called before the iteration hands out its event.

    An async client awaits what they return, where it can be awaited. `on_retry` is told of every
    lost connection, before the wait; `on_error` of what the iteration is about to raise.
    """

    on_status: Callable[[Status], Any]
    on_token: Callable[[str], Any]
    on_sources: Callable[[tuple[Source, ...]], Any]
    on_reset: Callable[[str], Any]
    on_complete: Callable[[Result], Any]
    on_error: Callable[[RiverrunError], Any]
    on_retry: Callable[[RetryNotice], Any]


class Options(Callbacks, total=False):
    """What else a question may have: docs/contract.md has the fields.

    `idempotency_key`: the name under which it is asked once, however often it is sent; a random
    one unless told.
    """

    session_id: str | None
    top_k: int | None
    include: Iterable[str] | None
    metadata: Mapping[str, str] | None
    idempotency_key: str | None


_CALLBACKS = Callbacks.__optional_keys__


def split_options(query: str, options: Options) -> tuple[Question, Callbacks]:
    """The question, and whom to call about it. Raises `TypeError` for an unknown name."""
    callbacks = {name: value for name, value in options.items() if name in _CALLBACKS}
    fields: dict[str, Any] = {
        name: value
        for name, value in options.items()
        if name not in callbacks and value is not None
    }
    return Question(query=query, **fields), cast("Callbacks", callbacks)


def invoke_callback(callbacks: Callbacks, item: Event | RetryNotice | RiverrunError) -> Any:
    """Call the one that `item` is for. Returns what it returned, None where there is none."""
    name: str
    value: Any
    match item:
        case Status():
            name, value = "on_status", item
        case Token():
            name, value = "on_token", item.text
        case Sources():
            name, value = "on_sources", item.sources
        case Reset():
            name, value = "on_reset", item.reason
        case Final():
            name, value = "on_complete", item.result
        case RetryNotice():
            name, value = "on_retry", item
        case RiverrunError():
            name, value = "on_error", item
        case _:
            return None
    callback = cast("Mapping[str, Callable[[Any], Any] | None]", callbacks).get(name)
    return None if callback is None else callback(value)
