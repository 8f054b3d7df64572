"""Ask a Riverrun server, and read the answer as it is written.

    from riverrun_client import Client

    with Client("http://localhost:8888") as client:
        for event in client.stream("What is there to see in Paris?"):
            ...

`AsyncClient` is the same for `async for`. An iteration that ends without an exception has seen
the `Final` event; whatever goes wrong on the way is mended, or raised as a `RiverrunError`.

Nothing is imported before it is used: `python -m riverrun_client --help` needs no HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riverrun_client.aio import AsyncClient as AsyncClient
    from riverrun_client.aio import AsyncStream as AsyncStream
    from riverrun_client.client import Client as Client
    from riverrun_client.client import Stream as Stream
    from riverrun_client.errors import EndedError as EndedError
    from riverrun_client.errors import GaveUpError as GaveUpError
    from riverrun_client.errors import Partial as Partial
    from riverrun_client.errors import ProtocolError as ProtocolError
    from riverrun_client.errors import RefusedError as RefusedError
    from riverrun_client.errors import RiverrunError as RiverrunError
    from riverrun_client.errors import RunFailedError as RunFailedError
    from riverrun_client.errors import SetupError as SetupError
    from riverrun_client.events import Event as Event
    from riverrun_client.events import Final as Final
    from riverrun_client.events import Grounding as Grounding
    from riverrun_client.events import Notice as Notice
    from riverrun_client.events import Other as Other
    from riverrun_client.events import Reset as Reset
    from riverrun_client.events import Result as Result
    from riverrun_client.events import RetryNotice as RetryNotice
    from riverrun_client.events import Source as Source
    from riverrun_client.events import Sources as Sources
    from riverrun_client.events import Status as Status
    from riverrun_client.events import Token as Token
    from riverrun_client.events import Unmatched as Unmatched
    from riverrun_client.events import Usage as Usage
    from riverrun_client.options import Callbacks as Callbacks
    from riverrun_client.options import Options as Options
    from riverrun_client.retry_policy import RetryPolicy as RetryPolicy

_HOME = {
    "options": ["Callbacks", "Options"],
    "aio": ["AsyncClient", "AsyncStream"],
    "client": ["Client", "Stream"],
    "errors": [
        "EndedError", "GaveUpError", "Partial", "ProtocolError", "RefusedError", "RiverrunError",
        "RunFailedError", "SetupError",
    ],
    "events": [
        "Event", "Final", "Grounding", "Notice", "Other", "Reset", "Result", "RetryNotice",
        "Source", "Sources", "Status", "Token", "Unmatched", "Usage",
    ],
    "retry_policy": ["RetryPolicy"],
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "Callbacks",
    "Client",
    "EndedError",
    "Event",
    "Final",
    "GaveUpError",
    "Grounding",
    "Notice",
    "Options",
    "Other",
    "Partial",
    "ProtocolError",
    "RefusedError",
    "Reset",
    "Result",
    "RetryNotice",
    "RetryPolicy",
    "RiverrunError",
    "RunFailedError",
    "SetupError",
    "Source",
    "Sources",
    "Status",
    "Stream",
    "Token",
    "Unmatched",
    "Usage",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
