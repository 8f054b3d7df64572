"""What the runtime reads from its environment, once, into one frozen object.

The names are Lambda's own, and three of ours; docs/lambda-runtime.md lists them. It is not part
of `services.settings`, because the runtime also runs applications that have no such thing.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, cast

from .errors import RuntimeSetupError

InvokeMode = Literal["response_stream", "buffered"]
INVOKE_MODES = ("response_stream", "buffered")


class Environment(NamedTuple):
    """How this sandbox was set up.

    `concurrency` is the number of invocations that run at once in this process, or None in
    the classic mode of one. `keep_alive` sends streamed answers over the line that asks for
    invocations, instead of over a fresh connection each. `base_path` is what a custom domain
    puts in front of the application's own paths.
    """

    api: str
    handler: str
    task_root: str | None = None
    runtime_dir: str | None = None
    invoke_mode: InvokeMode = "response_stream"
    keep_alive: bool = False
    base_path: str = ""
    concurrency: int | None = None
    snap_start: bool = False
    json_logs: bool = False
    log_level: str | None = None
    telemetry_fd: int | None = None


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Raises `RuntimeSetupError` for what is missing or unknown."""
    for name in ("AWS_LAMBDA_RUNTIME_API", "_HANDLER"):
        if not environ.get(name):
            raise RuntimeSetupError(
                f"{name} is not set. Lambda sets it; to run a function on your own machine, "
                "serve its ASGI application with any server."
            )
    mode = environ.get("RIVERRUN_INVOKE_MODE") or "response_stream"
    if mode not in INVOKE_MODES:
        raise RuntimeSetupError(
            f"RIVERRUN_INVOKE_MODE={mode!r} is not known. Use one of: {', '.join(INVOKE_MODES)}."
        )
    keep_alive = environ.get("RIVERRUN_KEEP_ALIVE") or "0"
    if keep_alive not in {"0", "1"}:
        raise RuntimeSetupError(
            f"RIVERRUN_KEEP_ALIVE={keep_alive!r} is not known. Use one of: 0, 1."
        )
    concurrency = _number(environ, "AWS_LAMBDA_MAX_CONCURRENCY")
    return Environment(
        api=environ["AWS_LAMBDA_RUNTIME_API"],
        handler=environ["_HANDLER"],
        task_root=environ.get("LAMBDA_TASK_ROOT") or None,
        runtime_dir=environ.get("LAMBDA_RUNTIME_DIR") or None,
        invoke_mode=cast("InvokeMode", mode),
        keep_alive=keep_alive == "1",
        base_path=_base_path(environ.get("RIVERRUN_BASE_PATH", "")),
        concurrency=concurrency,
        snap_start=environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
        # Managed Instances mix the lines of many invocations, so they take JSON only.
        json_logs=concurrency is not None
        or environ.get("AWS_LAMBDA_LOG_FORMAT", "").lower() == "json",
        log_level=environ.get("AWS_LAMBDA_LOG_LEVEL") or None,
        telemetry_fd=_number(environ, "_LAMBDA_TELEMETRY_LOG_FD"),
    )


def _base_path(text: str) -> str:
    path = text.strip("/")
    if "//" in path or any(mark in path for mark in "?#% "):
        raise RuntimeSetupError(
            f"RIVERRUN_BASE_PATH={text!r} must be a path such as /v1, without escapes."
        )
    return f"/{path}" if path else ""


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise RuntimeSetupError(f"{name}={text!r} must be a whole number of at least 1.")
    return int(text)
