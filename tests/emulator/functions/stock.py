"""Handlers for the stock runtime, which buffers."""

from typing import Any


def handler(event: dict[str, Any], context: Any) -> Any:
    if event.get("raise"):
        raise ValueError("no")
    if event.get("large"):
        return "x" * event["large"]
    return {
        "statusCode": 200,
        "headers": {"content-type": "text/plain"},
        "body": f"{context.function_name} {context.aws_request_id} {event.get('rawPath', '')}",
        "left": context.get_remaining_time_in_millis() > 0,
    }
