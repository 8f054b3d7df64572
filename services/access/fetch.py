"""Fetch a small JSON document: https (or this machine), no redirect, bounded in size and time."""

import asyncio
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from ..errors import RiverrunError
from ..json_input import parse_json

TIMEOUT = 3.0
LARGEST_RESPONSE = 256 * 1024
# How many fetches block at once, and how many more may wait for their turn.
_AT_ONCE = 4
_WAITING = 28
_places = threading.BoundedSemaphore(_AT_ONCE + _WAITING)
T = TypeVar("T")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class FetchError(RiverrunError):
    """The document could not be fetched; the request that needs it is refused."""

    code = "overloaded"
    retryable = True

    def __init__(self) -> None:
        super().__init__("Credentials cannot be checked at the moment.", retry_after_ms=2000)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: a redirect could lead to an address of this network."""


async def fetch_beside(fetch: Callable[[], T]) -> T:
    """Run `fetch`, which blocks, in a thread. Raises `FetchError` where too many wait already.

    The threads are its own: a flood of questions to a slow service would take every one of those
    that the rest of the process shares, and all else would stand still with it.
    """
    if not _places.acquire(blocking=False):
        raise FetchError
    work = _open_threads().submit(fetch)
    work.add_done_callback(lambda _: _places.release())
    return await asyncio.wrap_future(work)


@cache
def _open_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="riverrun-fetch")


def fetch_json(url: str, form: Mapping[str, str] | None = None) -> Any:
    """Get `url`, or post `form` to it, and read the answer as JSON. Blocks.

    Raises `FetchError`.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise FetchError
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, data, {"Accept": "application/json"})  # noqa: S310 - checked above
    # Without the proxies of the environment: they would see the secret of a challenge.
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            body = response.read(LARGEST_RESPONSE + 1)
        if len(body) > LARGEST_RESPONSE:
            raise FetchError
        return parse_json(body)
    except urllib.error.HTTPError as error:
        error.close()  # it is the response, and open
        raise FetchError from error
    except (OSError, ValueError) as error:
        raise FetchError from error
