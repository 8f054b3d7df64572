"""Functions for AWS's own Python runtime: it buffers, and Mangum answers for an application."""

from typing import Any

from mangum import Mangum


def function(event: Any, context: Any) -> Any:
    """What it was given, and who asked."""
    if "raise" in event:
        raise LookupError("no such thing")
    answer = {"request": context.aws_request_id, "function": context.function_name, "said": event}
    if "version" in event and "requestContext" in event:
        return {"statusCode": 202, "headers": {"x-path": event["rawPath"]}, "body": "plain"}
    return answer


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Method, path, query and body, in bytes that are not text where the path says so."""
    body = (await receive())["body"]
    said = [scope["method"].encode(), scope["path"].encode(), scope["query_string"], body]
    content = bytes(range(256)) if scope["path"].endswith("/bytes") else b"|".join(said)
    kind = b"application/octet-stream" if scope["path"].endswith("/bytes") else b"text/plain"
    headers = [(b"content-type", kind), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": 203, "headers": headers})
    await send({"type": "http.response.body", "body": content[:5], "more_body": True})
    await send({"type": "http.response.body", "body": content[5:]})


handler = Mangum(app, lifespan="off")
