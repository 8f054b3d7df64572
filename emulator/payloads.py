"""From an HTTP request to the payload AWS makes of it: formats 2.0 and 1.0.

Exact where AWS is documented; where it is not, docs/emulator.md says what we chose. Knows
nothing of how the request came or where the payload goes.
"""

import base64
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from emulator.cloudformation import ACCOUNT, REGION
from emulator.http1 import Request

REQUEST_LIMIT = 6 * 1024 * 1024

_TEXT_TYPES = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/xml",
    }
)


def url_domain(api_id: str) -> str:
    """The domain of a function URL; by it a runtime tells the URL from an HTTP API."""
    return f"{api_id}.lambda-url.{REGION}.on.aws"


def version_2(
    request: Request,
    body: bytes,
    *,
    api_id: str,
    domain: str,
    request_id: str = "",
    extra_headers: Mapping[str, str] | None = None,
    route_key: str = "$default",
    path_parameters: Mapping[str, str] | None = None,
    url: bool = True,
    access_key: str = "",
) -> dict[str, Any]:
    """Payload format 2.0: function URLs (`url`) and HTTP APIs.

    Optional members are left out rather than null, as AWS does.
    """
    headers = _join_headers(request) | dict(extra_headers or {})
    cookies = [c.strip() for c in headers.pop("cookie", "").split(";") if c.strip()]
    context: dict[str, Any] = {
        "accountId": "anonymous" if url and not access_key else ACCOUNT,
        "apiId": api_id,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": f"HTTP/{request.version}",
            "sourceIp": request.client,
            "userAgent": request.header("user-agent"),
        },
        "requestId": request_id or str(uuid.uuid4()),
        "routeKey": route_key,
        "stage": "$default",
        **_times("time", "timeEpoch"),
    }
    if access_key:
        context["authorizer"] = {"iam": _caller(access_key)}
    payload: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        payload["cookies"] = cookies
    if request.query:
        joined: dict[str, str] = {}
        for name, value in _query(request.query):
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        payload["queryStringParameters"] = joined
    if path_parameters:
        payload["pathParameters"] = dict(path_parameters)
    if body:
        payload["body"], payload["isBase64Encoded"] = _body(body, _is_text(request))
    return payload


def version_1(
    request: Request,
    body: bytes,
    *,
    path: str,
    resource: str,
    stage: str,
    domain: str,
    request_id: str = "",
    path_parameters: Mapping[str, str] | None = None,
    binary: bool = False,
) -> dict[str, Any]:
    """Payload format 1.0, of a REST API: every container is there, null when it is empty.

    `path` is the public path without the stage, decoded. `binary` says that the request's type
    is among the API's binary media types; any other body is text, whatever bytes it had.
    """
    several: dict[str, list[str]] = {}
    for name, value in request.headers:
        several.setdefault(name, []).append(value)
    known = {name.lower() for name in several}
    forwarded = {
        "X-Forwarded-For": request.client,
        "X-Forwarded-Port": str(request.port),
        "X-Forwarded-Proto": "http",
    }
    several |= {name: [value] for name, value in forwarded.items() if name.lower() not in known}
    query: dict[str, list[str]] = {}
    for name, value in _query(request.query):
        query.setdefault(name, []).append(value)
    text, encoded = (None, False) if not body else _body(body, not binary, lossy=not binary)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in several.items()},
        "multiValueHeaders": several,
        "queryStringParameters": {n: v[-1] for n, v in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(path_parameters) if path_parameters else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "extendedRequestId": uuid.uuid4().hex[:15],
            "httpMethod": request.method,
            "identity": {"sourceIp": request.client, "userAgent": request.header("user-agent")},
            "path": unquote(request.path),
            "protocol": f"HTTP/{request.version}",
            "requestId": request_id or str(uuid.uuid4()),
            **_times("requestTime", "requestTimeEpoch"),
            "resourceId": "local",
            "resourcePath": resource,
            "stage": stage,
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def _join_headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key = name.lower()
        glue = "; " if key == "cookie" else ","
        headers[key] = f"{headers[key]}{glue}{value}" if key in headers else value
    headers.setdefault("x-forwarded-for", request.client)
    headers.setdefault("x-forwarded-port", str(request.port))
    headers.setdefault("x-forwarded-proto", "http")
    return headers


def _query(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, errors="replace")


def _times(text: str, epoch: str) -> dict[str, Any]:
    now = time.time()
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))
    return {text: stamp, epoch: int(now * 1000)}


def _caller(access_key: str) -> dict[str, Any]:
    return {
        "accessKey": access_key,
        "accountId": ACCOUNT,
        "callerId": access_key,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:iam::{ACCOUNT}:user/local",
        "userId": access_key,
    }


def _is_text(request: Request) -> bool:
    kind = request.header("content-type").partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXT_TYPES


def _body(body: bytes, text: bool, *, lossy: bool = False) -> tuple[str, bool]:
    """The body as JSON can hold it, and whether that is base64."""
    if text:
        try:
            return body.decode("utf-8", "replace" if lossy else "strict"), False
        except UnicodeDecodeError:
            pass  # a JSON payload cannot hold these bytes as text
    return base64.b64encode(body).decode("ascii"), True
