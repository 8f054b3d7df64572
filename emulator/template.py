"""What `template.yaml` says about functions and their fronts.

Reads the part of AWS SAM that decides how a function is run and reached; the rest of the
template is none of its business. What SAM would ignore is ignored here too, and said.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.cloudformation import (
    EmulatorSetupError,
    Stack,
    as_mapping,
    load,
    read_environment,
)
from emulator.web_template import KIND, WebFunctionSpec, read_web_functions

TASK_ROOT = "/var/task"


_EMULATED = frozenset(
    {KIND, "AWS::Serverless::Function", "AWS::Serverless::Api", "AWS::Serverless::HttpApi"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUrl:
    """A function URL: `invoke_mode` is RESPONSE_STREAM or BUFFERED."""

    auth_type: str = "NONE"
    invoke_mode: str = "BUFFERED"
    cors: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path of an API that leads to a function. `method` may be ANY; times are in seconds."""

    api: str
    method: str
    path: str
    function: str
    streaming: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """How one function is started. `timeout` is in seconds, `memory` in MB."""

    name: str
    logical_id: str
    handler: str
    root: Path
    runtime: str = "python3.13"
    timeout: float = 3.0
    memory: int = 128
    environment: Mapping[str, str] = field(default_factory=dict)
    url: FunctionUrl | None = None
    reserved: int | None = None
    snap_start: bool = False

    @property
    def public(self) -> str:
        """What the function is called in URLs: its module, for `functions.<name>.<handler>`."""
        parts = re.split(r"[./]", self.handler)
        return parts[1] if len(parts) > 2 and parts[0] == "functions" else self.name

    @property
    def wrapper(self) -> str:
        """The script that replaces the stock runtime, as a path inside the package; or ""."""
        return self.environment.get("AWS_LAMBDA_EXEC_WRAPPER", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestApi:
    """A REST API: its stage, and whether it is edge-optimised (the default, with a 30 s cut)."""

    stage: str = "Prod"
    edge: bool = True
    binary_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """The functions, the routes of the REST and HTTP APIs, and remarks for the person."""

    functions: tuple[FunctionSpec, ...]
    rest_routes: tuple[Route, ...]
    http_routes: tuple[Route, ...]
    rest_api: RestApi
    notes: tuple[str, ...]
    web_functions: tuple[WebFunctionSpec, ...] = ()


def read_template(path: Path, parameters: Mapping[str, str] | None = None) -> Template:
    """Read a SAM template with `parameters`.

    Raises `EmulatorSetupError` with one line that says what to mend.
    """
    stack = load(path, parameters)
    try:
        return _read(stack, path)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # A list where a mapping belongs, a word where a number does: SAM would say where.
        raise EmulatorSetupError(
            f"{path} cannot be understood ({error}). `make validate` says what is wrong."
        ) from error


def _read(stack: Stack, path: Path) -> Template:
    notes: list[str] = []
    functions = tuple(_functions(stack, path.parent, notes))
    web_functions = tuple(read_web_functions(stack, path.parent, notes))
    if not (functions or web_functions):
        raise EmulatorSetupError(f"{path} declares no AWS::Serverless::Function and no {KIND}.")
    names = {spec.logical_id: spec.name for spec in functions}
    rest: list[Route] = []
    http: list[Route] = []
    for logical_id, properties in stack.resources("AWS::Serverless::Function"):
        for event in as_mapping(properties.get("Events")).values():
            kind, settings = event.get("Type"), as_mapping(event.get("Properties"))
            if kind == "Api":
                rest.append(_rest_route(stack, names[logical_id], settings, notes))
            elif kind == "HttpApi":
                http.append(_http_route(stack, names[logical_id], settings))
            else:
                notes.append(f"{names[logical_id]}: an event of type {kind} is not emulated.")
    rest.extend(_definition_routes(stack, names))
    notes += _not_emulated(stack, functions)
    return Template(
        functions, tuple(rest), tuple(http), _rest_api(stack), tuple(notes), web_functions
    )


def _not_emulated(stack: Stack, functions: Sequence[FunctionSpec]) -> Iterator[str]:
    """Runtimes and resources that nothing here stands for."""
    for spec in functions:
        if not spec.wrapper and not spec.runtime.startswith(("python", "provided")):
            yield f"{spec.name}: Runtime: {spec.runtime} is not emulated; Python is started."
    resources = as_mapping(stack.document.get("Resources")).values()
    kinds = {str(r.get("Type")) for r in resources if isinstance(r, dict)} - _EMULATED
    if kinds:
        yield f"Not emulated: {', '.join(sorted(kinds))}."


def _functions(stack: Stack, base: Path, notes: list[str]) -> Iterator[FunctionSpec]:
    shared = as_mapping(stack.document.get("Globals", {}).get("Function"))
    for logical_id, own in stack.resources("AWS::Serverless::Function"):
        properties = {**shared, **own}
        name = stack.text(properties.get("FunctionName")) or logical_id
        environment = {
            **as_mapping(as_mapping(shared.get("Environment")).get("Variables")),
            **as_mapping(as_mapping(own.get("Environment")).get("Variables")),
        }
        url = as_mapping(properties.get("FunctionUrlConfig"))
        reserved = properties.get("ReservedConcurrentExecutions")
        yield FunctionSpec(
            name=name,
            logical_id=logical_id,
            handler=stack.text(properties.get("Handler")) or "",
            root=(base / (stack.text(properties.get("CodeUri")) or ".")).resolve(),
            runtime=stack.text(properties.get("Runtime")) or "python3.13",
            timeout=stack.number(properties.get("Timeout"), 3.0),
            memory=int(stack.number(properties.get("MemorySize"), 128)),
            environment=read_environment(stack, environment, notes),
            url=FunctionUrl(
                auth_type=stack.text(url.get("AuthType")) or "NONE",
                invoke_mode=stack.text(url.get("InvokeMode")) or "BUFFERED",
                cors=as_mapping(url.get("Cors")),
            )
            if url
            else None,
            reserved=None
            if reserved is None or stack.is_absent(reserved)
            else int(stack.number(reserved, 0)),
            snap_start=as_mapping(properties.get("SnapStart")).get("ApplyOn")
            == "PublishedVersions",
        )


def _rest_route(
    stack: Stack, function: str, settings: Mapping[str, Any], notes: list[str]
) -> Route:
    mode = stack.text(settings.get("ResponseTransferMode")) or "BUFFERED"
    path = stack.text(settings.get("Path")) or "/"
    if mode not in ("RESPONSE_STREAM", "BUFFERED"):
        notes.append(
            f"{function}: ResponseTransferMode: {mode} on {path} is ignored, as SAM ignores it; "
            "write RESPONSE_STREAM."
        )
    milliseconds = settings.get("TimeoutInMillis")
    return Route(
        api="rest",
        method=(stack.text(settings.get("Method")) or "ANY").upper(),
        path=path,
        function=function,
        streaming=mode == "RESPONSE_STREAM",
        timeout=None if milliseconds is None else stack.number(milliseconds, 29_000) / 1000,
    )


def _http_route(stack: Stack, function: str, settings: Mapping[str, Any]) -> Route:
    milliseconds = settings.get("TimeoutInMillis")
    return Route(
        api="http",
        method=(stack.text(settings.get("Method")) or "ANY")
        .upper()
        .replace("X-AMAZON-APIGATEWAY-", ""),
        path=stack.text(settings.get("Path")) or "$default",
        function=function,
        timeout=None if milliseconds is None else stack.number(milliseconds, 30_000) / 1000,
    )


def _definition_routes(stack: Stack, names: Mapping[str, str]) -> Iterator[Route]:
    """Routes written as OpenAPI in the DefinitionBody of a REST API."""
    for _, properties in stack.resources("AWS::Serverless::Api"):
        for path, methods in as_mapping(
            as_mapping(properties.get("DefinitionBody")).get("paths")
        ).items():
            for method, operation in as_mapping(methods).items():
                integration = as_mapping(
                    as_mapping(operation).get("x-amazon-apigateway-integration")
                )
                uri = str(integration.get("uri", ""))
                owner = next((i for i in names if f"{{{i}.Arn}}" in uri or f"'{i}'" in uri), None)
                if owner is None:
                    continue
                # STREAM with the buffered action's URI is refused by API Gateway, and the reverse.
                streaming = integration.get("responseTransferMode") == "STREAM" and (
                    "response-streaming-invocations" in uri
                )
                milliseconds = integration.get("timeoutInMillis")
                yield Route(
                    api="rest",
                    method="ANY" if method.startswith("x-amazon") else method.upper(),
                    path=path,
                    function=names[owner],
                    streaming=streaming,
                    timeout=None
                    if milliseconds is None
                    else stack.number(milliseconds, 29_000) / 1000,
                )


def _rest_api(stack: Stack) -> RestApi:
    shared = as_mapping(stack.document.get("Globals", {}).get("Api"))
    own = next((p for _, p in stack.resources("AWS::Serverless::Api")), {})
    properties = {**shared, **own}
    endpoint = properties.get("EndpointConfiguration")
    kind = endpoint.get("Type") if isinstance(endpoint, dict) else endpoint
    types = properties.get("BinaryMediaTypes")
    return RestApi(
        stage=stack.text(properties.get("StageName")) or "Prod",
        edge=(stack.text(kind) or "EDGE").upper() == "EDGE",
        binary_types=tuple(str(t).replace("~1", "/") for t in types)
        if isinstance(types, list)
        else (),
    )
