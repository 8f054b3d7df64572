"""Translate between httpx2 and the conversation: requests, heads of responses, failures.

The only module, with the two shells, that knows the network client.
"""

import errno
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from riverrun_client.errors import SetupError
from riverrun_client.requests import Endpoint, Request, check_header_value
from riverrun_client.response_check import Head
from riverrun_client.retry_policy import LostError, RetryPolicy

T = TypeVar("T")

# As many streams as the caller opens: each holds a connection for as long as it lasts.
LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20)

# What a machine says that has no way out, as against a server that does not answer.
_OFFLINE = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL})
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_NO_CONNECTION = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)

# Mistakes of the caller: no second try mends them.
_MISTAKES = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)


def parse_endpoint(url: str) -> Endpoint:
    """The endpoint at a server's address. Raises `ValueError` when it is none."""
    found = Endpoint.parse(url)
    try:
        httpx2.URL(found.url)
    except (httpx2.InvalidURL, UnicodeError):
        raise ValueError(f"{url!r} is not an address.") from None
    return found


def open_http(make: Callable[..., T]) -> T:
    """Make an HTTP client of this machine's settings. Raises `SetupError` for unusable ones."""
    try:
        return make(limits=LIMITS)
    except OSError as error:
        raise SetupError(
            f"The certificates of this machine cannot be read: {error.strerror or error}.",
            code="certificates_unusable",
            hint="Mend or unset SSL_CERT_FILE and SSL_CERT_DIR.",
        ) from error
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        socks = isinstance(error, ImportError)
        raise SetupError(
            f"The proxy of this machine cannot be used: {str(error).partition('. ')[0]}.",
            code="proxy_unusable",
            hint="Install the SOCKS support (pip install socksio), or unset ALL_PROXY."
            if socks
            else "Mend or unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY.",
        ) from error


def find_proxy(url: str) -> str:
    """The proxy that the environment names for `url`, without its password; "" for none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    scheme, mark, rest = proxy.rpartition("://")
    return f"{scheme or 'http'}{mark or '://'}{rest.rpartition('@')[2].rstrip('/')}"


def to_lost_error(error: httpx2.RequestError, proxy: str = "") -> LostError | SetupError:
    """What a failed request or a failed read means. Raises the error itself for a mistake."""
    if isinstance(error, _MISTAKES):
        raise error
    if isinstance(error, httpx2.ProxyError) and not re.match(r"50[234]\b", str(error)):
        return SetupError(
            f"The proxy {proxy or 'of this machine'} refuses: {str(error).rstrip('.')}.",
            code="proxy_refused",
            hint="Give it what it asks for, or set NO_PROXY for this server.",
        )
    if isinstance(error, _NO_CONNECTION):
        offline = any(_is_offline(cause) for cause in _iterate_causes(error))
        why = _NUMBER.sub("", str(error)).rstrip(".") or "no answer in time"
        through = f" through the proxy {proxy}" if proxy else ""
        return LostError(f"No connection{through}: {why}.", offline=offline)
    if isinstance(error, httpx2.TimeoutException):
        return LostError("The server fell silent.")
    return LostError("The connection was lost.")


def _is_offline(cause: BaseException) -> bool:
    if isinstance(cause, socket.gaierror):
        return True
    return isinstance(cause, OSError) and cause.errno in _OFFLINE


def _iterate_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def build_arguments(request: Request, key: str | None, retry_policy: RetryPolicy) -> dict[str, Any]:
    """The arguments of httpx2's `build_request`."""
    # A coding holds small events back until a block of it is full.
    headers = {**request.headers, "Accept-Encoding": "identity"}
    if key:
        headers["Authorization"] = "Bearer " + check_header_value("The key", key.strip())
    timeout = httpx2.Timeout(retry_policy.silence, connect=retry_policy.connect, pool=None)
    return {
        "method": request.method,
        "url": request.url,
        "headers": headers,
        "content": request.body,
        "timeout": timeout,
    }


def read_head(response: httpx2.Response, proxy: str = "") -> Head:
    """Status and headers."""
    headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
    return Head(response.status_code, headers, proxy)
