"""Who sends a request, and from where: the headers that say so, and which of them are believed."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from ...access import Access, AccessError, Principal, name_stranger
from ...settings import Settings
from ..app import App, default_app

_SIGNED = "aws4-hmac-sha256"
_ADDRESS = re.compile(r"[0-9a-f.:]{2,45}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")


async def identify_caller(request: Request, settings: Settings | None = None) -> Principal:
    """Tell who asks. Raises `AccessError` without a good credential, where one is asked for.

    `settings` are this process's own unless others are given.
    """
    is_signed = (settings or default_app().settings).signed
    return await _access(settings).identify(_read_bearer(request, is_signed=is_signed))


async def read_owner(request: Request, settings: Settings | None = None) -> str | None:
    """Tell whose runs may be read and started: None where no credential is asked for."""
    return (await identify_caller(request, settings)).owner


async def read_run_owner(
    request: Request, run_id: str, settings: Settings | None = None
) -> str | None:
    """Tell whose run is read: by a link in the URL (`token`) to this run alone, or as ever.

    An `EventSource` cannot send a header, and a key has no place in a URL; a link ends in minutes.
    """
    if (token := request.query_params.get("token")) is None:
        return await read_owner(request, settings)
    access = _access(settings)
    if access.is_open:
        return None
    return (await access.follow_link(token, run_id)).owner


async def knows_session(session_id: str, settings: Settings | None = None) -> bool:
    """Tell whether a stranger may go on with a session.

    Without owners a session is its name's alone, so a name that we did not give out opens none:
    it could be another visitor's, and guessed.
    """
    return await _access(settings).knows_session(session_id)


def read_address(request: Request, settings: Settings | None = None) -> str:
    """Tell the visitor's address, "" where it is not known.

    A header is believed only of a gateway that proved itself: by its secret, which `GatewayOnly`
    has compared, or by a signature that AWS has. In a Web Function AWS connects to us, and writes
    who connected to it last into `X-Forwarded-For`. What connected is the visitor otherwise.
    """
    settings = settings or default_app().settings
    is_gateway = settings.gateway_secrets or settings.signed
    if is_gateway or _is_signed(request.scope.get("aws.event")):
        told = request.headers.get("x-riverrun-visitor", "").lower()
        return told if _ADDRESS.fullmatch(told) else ""
    if settings.host_kind == "web-function":
        last = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
        return last.lower() if _ADDRESS.fullmatch(last.lower()) else ""
    client = request.scope.get("client")
    return str(client[0]) if client else ""


def read_sender(request: Request) -> str:
    """Name who sends a request without a credential: by the address, as limits do."""
    return name_stranger(read_address(request))


def _access(settings: Settings | None) -> Access:
    return (default_app() if settings is None else App(settings)).access


def _read_bearer(request: Request, *, is_signed: bool) -> str:
    if len(request.headers.getlist("authorization")) > 1:
        raise AccessError  # a proxy may have looked at the other one
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == _SIGNED or (is_signed and not scheme):
        # A signature has the same header; a caller that signs for a visitor moves theirs here. A
        # Web Function's door takes the signature away when it has looked at it.
        scheme, _, given = request.headers.get("x-riverrun-authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return ""
    given = given.strip()
    # Starlette reads header bytes as Latin-1; a key may be any text, in UTF-8.
    return given if _TOKEN.fullmatch(given) else given.encode("latin-1").decode("utf-8", "replace")


def _is_signed(event: Any) -> bool:
    """Tell whether AWS checked a signature: the event says whose, and no request can."""
    if not isinstance(event, Mapping) or not isinstance(event.get("requestContext"), Mapping):
        return False
    context = event["requestContext"]
    authorizer, identity = context.get("authorizer"), context.get("identity")
    if isinstance(authorizer, Mapping) and isinstance(authorizer.get("iam"), Mapping):
        return True  # a function URL
    return isinstance(identity, Mapping) and bool(identity.get("userArn"))  # a REST API
