"""What `template.yaml` says about Web Functions: `AWS::Serverless::WebFunction`, as SAM reads it.

Knows nothing of how one is run or reached.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.cloudformation import EmulatorSetupError, Stack, as_mapping, read_environment

KIND = "AWS::Serverless::WebFunction"
# AWS takes nothing else for `ThrottleConfig.RateLimit`.
_RATES = frozenset({0, *range(100, 1001, 100), *range(2000, 10001, 1000)})
_ENTRY = "AWS_LAMBDA_PYTHON_ENTRYPOINT"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFunctionSpec:
    """How one Web Function is started. `timeout` is in seconds; None means no such limit.

    `concurrency` is the requests of one environment, `max_environments` the environments,
    `rate_limit` the requests of a second.
    """

    name: str
    logical_id: str
    root: Path
    runtime: str = "python3.14"
    signed: bool = False
    timeout: float = 30.0
    concurrency: int = 64
    max_environments: int | None = None
    rate_limit: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def public(self) -> str:
        """What its lines of the log are called."""
        return self.logical_id

    @property
    def entry(self) -> str:
        """`module:callable`, perhaps behind `asgi:` or `wsgi:`."""
        return self.environment.get(_ENTRY) or "main:app"


def read_web_functions(stack: Stack, base: Path, notes: list[str]) -> Iterator[WebFunctionSpec]:
    """Read the Web Functions that this stack would have. Raises `EmulatorSetupError`."""
    for logical_id, properties in stack.resources(KIND):
        name = stack.text(properties.get("FunctionName")) or logical_id
        auth = stack.text(properties.get("AuthType"))
        if auth not in ("IamAuth", "ApplicationManaged"):
            raise EmulatorSetupError(f"{name}: AuthType is IamAuth or ApplicationManaged.")
        if "EntryPoint" in properties:
            notes.append(f"{name}: SAM writes EntryPoint for Node; set {_ENTRY} instead.")
        scaling = as_mapping(properties.get("ScalingConfig"))
        most = _read_bounded(
            stack, name, scaling, "MaxEnvironments", default=None, limits=(2, 10_000)
        )
        timeout = _read_bounded(stack, name, properties, "Timeout", default=30, limits=(3, 900))
        places = _read_bounded(
            stack, name, properties, "MaxConcurrencyPerEnvironment", default=64, limits=(1, 128)
        )
        assert timeout is not None
        assert places is not None
        environment = read_environment(
            stack, as_mapping(properties.get("EnvironmentVariables")), notes
        )
        if empty := [key for key, value in environment.items() if not value]:
            raise EmulatorSetupError(f"{name}: AWS refuses an empty value: {', '.join(empty)}.")
        yield WebFunctionSpec(
            name=name,
            logical_id=logical_id,
            root=(base / (stack.text(properties.get("CodeUri")) or ".")).resolve(),
            runtime=stack.text(properties.get("Runtime")) or "",
            signed=auth == "IamAuth",
            timeout=timeout,
            concurrency=int(places),
            max_environments=None if most is None else int(most),
            rate_limit=_read_rate(stack, name, as_mapping(properties.get("ThrottleConfig"))),
            environment=environment,
        )


def _read_bounded(
    stack: Stack,
    name: str,
    properties: Mapping[str, Any],
    key: str,
    *,
    default: float | None,
    limits: tuple[int, int],
) -> float | None:
    low, high = limits
    if stack.text(properties.get(key)) is None:
        return default
    value = stack.number(properties[key], low)
    if not low <= value <= high:
        raise EmulatorSetupError(f"{name}: {key} is from {low} to {high}, not {value:g}.")
    return value


def _read_rate(stack: Stack, name: str, throttle: Mapping[str, Any]) -> int | None:
    if stack.text(throttle.get("RateLimit")) is None:
        return None
    rate = int(stack.number(throttle["RateLimit"], 0))
    if rate not in _RATES:
        raise EmulatorSetupError(
            f"{name}: RateLimit is 0, 100 to 1,000 by 100 or 2,000 to 10,000 by 1,000."
        )
    return rate
