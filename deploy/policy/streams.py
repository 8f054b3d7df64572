"""Whether a stream arrives as one: fronts that carry it, and a runtime that sends it.

Under our runtime every HTTP request is answered as a stream unless RIVERRUN_INVOKE_MODE says
`buffered`. A buffered front before it passes the status on and loses the body.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.policy.violation import Said, events, functions, is_about, number, variables
from deploy.template import Stack, mapping

WRAPPER = "/var/task/bootstrap"
_MISSPELT = ("InvokeMode", "TransferMode", "ResponseMode", "responseTransferMode")


def buffered_routes(stack: Stack) -> Said:
    """Each front carries what its function sends; SAM ignores a value that it does not know."""
    for where, properties in functions(stack):
        wanted = "RESPONSE_STREAM" if _streams(properties) else "BUFFERED"
        if "FunctionUrlConfig" in properties:
            mode = mapping(properties["FunctionUrlConfig"]).get("InvokeMode", "BUFFERED")
            if mode != wanted:
                yield where, f"the function URL's InvokeMode is {mode}; here it is {wanted}."
        for name, event in events(properties, "Api"):
            for what in _misread(event, wanted):
                yield f"{where}.{name}", what
        for name, _ in events(properties, "HttpApi"):
            if wanted == "RESPONSE_STREAM":
                yield f"{where}.{name}", "an HTTP API cannot stream; use an event of type Api."
    for where, properties in stack.of("AWS::ApiGateway::Method"):
        integration = mapping(properties.get("Integration"))
        uri = str(integration.get("Uri"))
        streaming = integration.get("ResponseTransferMode") == "STREAM"
        if "invocations" in uri and streaming != ("response-streaming-invocations" in uri):
            yield where, "ResponseTransferMode and the integration's URI do not agree."


def impatient_routes(stack: Stack) -> Said:
    """Find routes that end a response before their function would."""
    for where, properties in functions(stack):
        seconds = number(properties.get("Timeout")) or 0
        for name, event in events(properties, "Api"):
            limit = number(event.get("TimeoutInMillis", 29_000)) or 0
            if limit < min(seconds, 900) * 1000:
                yield f"{where}.{name}", f"ends after {limit} ms, its function after {seconds} s."


def _misread(event: Mapping[str, Any], wanted: str) -> Iterator[str]:
    mode = event.get("ResponseTransferMode", "BUFFERED")
    if mode not in ("RESPONSE_STREAM", "BUFFERED"):
        yield f"SAM ignores ResponseTransferMode: {mode}; it is called {wanted}."
    elif mode != wanted:
        yield f"ResponseTransferMode is {mode}; here it is {wanted}."
    for key in _MISSPELT:
        if key in event:
            yield f"SAM ignores {key}; it is called ResponseTransferMode."


def impatient_endpoints(stack: Stack) -> Said:
    """SAM's default endpoint is edge-optimised, which cuts a stream after 30 s of silence."""
    apis = dict(stack.of("AWS::Serverless::Api"))
    for where, properties in apis.items():
        endpoint = properties.get("EndpointConfiguration")
        kind = mapping(endpoint).get("Type") if isinstance(endpoint, dict) else endpoint
        if kind not in ("REGIONAL", "PRIVATE"):
            yield where, "say EndpointConfiguration: {Type: REGIONAL}."
    for where, properties in functions(stack):
        for name, event in events(properties, "Api"):
            if not any(is_about(event.get("RestApiId"), api) for api in apis):
                yield f"{where}.{name}", "is on SAM's own API; name one with RestApiId."


def missing_wrapper(stack: Stack) -> Said:
    """Without the wrapper the stock runtime starts, and answers in one piece."""
    for where, properties in functions(stack):
        if variables(properties).get("AWS_LAMBDA_EXEC_WRAPPER") != WRAPPER:
            yield where, f"AWS_LAMBDA_EXEC_WRAPPER is not {WRAPPER}."


def _streams(properties: Mapping[str, Any]) -> bool:
    return bool(variables(properties).get("RIVERRUN_INVOKE_MODE") != "buffered")
