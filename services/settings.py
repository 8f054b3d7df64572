"""Settings: read once from the environment into one frozen object.

Names and defaults are in docs/settings.md. An unknown value is a `SetupError` that lists the
known ones; nothing outside this module reads the environment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .environment import (
    read_choice,
    read_guards,
    read_integer,
    read_list,
    read_number,
    read_seconds,
)
from .errors import SetupError
from .public_settings import (
    AccessSettings,
    LimitSettings,
    TelemetrySettings,
    read_access,
    read_limits,
    read_telemetry,
)

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_INDEX = ROOT / "knowledge" / "index"

CHAT_PROVIDERS = ("extractive", "scripted", "bedrock", "openai", "local")
AFTER_TEXT = ("fail", "restart")
EFFORTS = ("none", "minimal", "low", "medium", "high")
# How long a prompt cache keeps what every question repeats; "" is no cache.
CHAT_CACHES = {"off": "", "on": "5m", "5m": "5m", "1h": "1h"}
CITATIONS = ("text", "native")
EMBEDDING_PROVIDERS = ("local", "multilingual", "bedrock", "openai")
INDEX_SCHEMES = ("s3://", "s3vectors://")
LOG_SCHEMES = ("memory://", "sqlite://", "dynamodb://")
ON_ABANDONED = ("finish", "pause", "stop")

# An origin as a browser writes it (Fetch standard, section 3.2): lower case, no user, no path.
ORIGIN = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")

# What a Web Function's start may take of a request's time: 10 s until it listens, and a little.
WEB_MARGIN = 12.0

# The log of an environment that names none; code that makes `Settings` itself gets memory.
DEFAULT_LOG = "sqlite://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of one installation. Times are in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = 8888
    chat: str = "extractive"
    script: Path | None = None
    chat_models: tuple[str, ...] = ()
    chat_gguf: Path | None = None
    chat_tokens: int = 1024
    chat_pace: float = 0.0
    chat_temperature: float | None = None
    chat_timeout: float = 60.0
    chat_instructions: Path | None = None
    chat_after_text: str = "fail"
    chat_cache: str = ""
    chat_effort: str | None = None
    chat_thinking_tokens: int = 8192
    chat_thinking_timeout: float = 300.0
    chat_citations: str = "text"
    guardrail: str = ""
    openai_base_url: str | None = None
    openai_api_key: str | None = field(default=None, repr=False)
    prices: Path | None = None
    budget_usd: float | None = None
    budget_tokens: int | None = None
    embedding: str = "local"
    embedding_file: Path | None = None
    embedding_model: str | None = None
    embedding_dimension: int | None = None
    index: str = str(SHIPPED_INDEX)
    log: str = "memory://"
    retention_seconds: float | None = None
    replay: Path | None = None
    replay_speed: float = 1.0
    on_abandoned: str = "finish"
    abandoned_after: float = 0.0
    data_dir: Path = Path(".riverrun")
    allowed_origins: tuple[str, ...] = ()
    frame_origins: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    gateway_secrets: tuple[str, ...] = ()
    signed: bool = False
    show_errors: bool = False
    host_kind: str = "server"
    max_streams: int = 2000
    heartbeat: float = 10.0
    deadline: float = 900.0
    response_seconds: float | None = None
    max_run_seconds: float = 3600.0
    access: AccessSettings = field(default_factory=AccessSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Turn environment variables into `Settings`.

    Raises `SetupError` for a value that is not one of the known ones.
    """
    default = Settings()
    script = environ.get("RIVERRUN_SCRIPT", "")
    replay = environ.get("RIVERRUN_REPLAY", "")
    embedding_file = environ.get("RIVERRUN_EMBEDDING_FILE", "")
    settings = Settings(
        host=environ.get("HOST", "") or default.host,
        port=read_integer(environ, "PORT", default.port, low=0, high=65535),
        chat=read_choice(environ, "RIVERRUN_CHAT", CHAT_PROVIDERS, default.chat),
        script=Path(script) if script else None,
        **_read_model(environ, default),
        embedding=read_choice(
            environ, "RIVERRUN_EMBEDDING", EMBEDDING_PROVIDERS, default.embedding
        ),
        embedding_file=Path(embedding_file) if embedding_file else None,
        embedding_model=environ.get("RIVERRUN_EMBEDDING_MODEL", "") or None,
        embedding_dimension=read_integer(
            environ, "RIVERRUN_EMBEDDING_DIMENSION", 0, low=1, high=4096
        )
        or None,
        index=_read_index(environ, default.index),
        log=_read_log(environ, DEFAULT_LOG),
        retention_seconds=read_seconds(environ, "RIVERRUN_RETENTION_SECONDS", 0.0) or None,
        replay=Path(replay) if replay else None,
        replay_speed=_read_speed(environ, "RIVERRUN_REPLAY_SPEED", default.replay_speed),
        on_abandoned=read_choice(
            environ, "RIVERRUN_ON_ABANDONED", ON_ABANDONED, default.on_abandoned
        ),
        abandoned_after=read_seconds(environ, "RIVERRUN_ABANDONED_AFTER", default.abandoned_after),
        data_dir=Path(environ.get("RIVERRUN_DATA_DIR", "") or default.data_dir),
        allowed_origins=_read_origins(environ, "RIVERRUN_ALLOWED_ORIGINS"),
        frame_origins=_read_origins(environ, "RIVERRUN_FRAME_ORIGINS"),
        api_keys=read_guards(environ, "RIVERRUN_API_KEYS"),
        gateway_secrets=read_guards(environ, "RIVERRUN_GATEWAY_SECRETS"),
        signed=read_choice(environ, "RIVERRUN_SIGNED", ("on", "off"), "off") == "on",
        show_errors=read_choice(environ, "RIVERRUN_SHOW_ERRORS", ("on", "off"), "off") == "on",
        host_kind=_read_host_kind(environ),
        max_streams=read_integer(environ, "RIVERRUN_MAX_STREAMS", default.max_streams, low=1),
        heartbeat=read_seconds(environ, "RIVERRUN_HEARTBEAT", default.heartbeat),
        deadline=read_seconds(environ, "RIVERRUN_DEADLINE", default.deadline),
        response_seconds=_read_response_seconds(environ),
        max_run_seconds=read_seconds(environ, "RIVERRUN_MAX_RUN_SECONDS", default.max_run_seconds),
        access=read_access(environ),
        limits=read_limits(environ),
        telemetry=read_telemetry(environ),
    )
    if settings.chat == "scripted" and settings.script is None:
        raise SetupError("RIVERRUN_CHAT=scripted needs RIVERRUN_SCRIPT, the path of a JSON script.")
    limits = settings.limits
    if settings.budget_usd is None and (limits.visitor_usd_per_day or limits.total_usd_per_day):
        raise SetupError(
            "A day's dollars (RIVERRUN_VISITOR_USD_PER_DAY, RIVERRUN_TOTAL_USD_PER_DAY) need "
            "RIVERRUN_BUDGET_USD: it is what each answer reserves before it costs anything."
        )
    return settings


def _read_model(environ: Mapping[str, str], default: Settings) -> dict[str, Any]:
    """Read the settings of a model that is called: `bedrock`, `openai` and `local`."""
    gguf = environ.get("RIVERRUN_CHAT_GGUF", "")
    instructions = environ.get("RIVERRUN_CHAT_INSTRUCTIONS", "")
    prices = environ.get("RIVERRUN_PRICES", "")
    return {
        "chat_models": read_list(environ, "RIVERRUN_CHAT_MODEL"),
        "chat_gguf": Path(gguf) if gguf else None,
        "chat_pace": read_seconds(environ, "RIVERRUN_CHAT_PACE", default.chat_pace),
        "chat_tokens": read_integer(environ, "RIVERRUN_CHAT_TOKENS", default.chat_tokens, low=1),
        "chat_temperature": read_number(environ, "RIVERRUN_CHAT_TEMPERATURE", high=2.0),
        "chat_timeout": read_seconds(environ, "RIVERRUN_CHAT_TIMEOUT", default.chat_timeout),
        "chat_instructions": Path(instructions) if instructions else None,
        "chat_after_text": read_choice(
            environ, "RIVERRUN_CHAT_AFTER_TEXT", AFTER_TEXT, default.chat_after_text
        ),
        "chat_effort": read_choice(environ, "RIVERRUN_CHAT_EFFORT", EFFORTS, "none")
        if environ.get("RIVERRUN_CHAT_EFFORT")
        else None,
        "chat_thinking_tokens": read_integer(
            environ, "RIVERRUN_CHAT_THINKING_TOKENS", default.chat_thinking_tokens, low=0
        ),
        "chat_thinking_timeout": read_seconds(
            environ, "RIVERRUN_CHAT_THINKING_TIMEOUT", default.chat_thinking_timeout
        ),
        "chat_cache": CHAT_CACHES[
            read_choice(environ, "RIVERRUN_CHAT_CACHE", tuple(CHAT_CACHES), "off")
        ],
        "chat_citations": read_choice(
            environ, "RIVERRUN_CHAT_CITATIONS", CITATIONS, default.chat_citations
        ),
        "guardrail": environ.get("RIVERRUN_GUARDRAIL", ""),
        "openai_base_url": environ.get("OPENAI_BASE_URL", "").strip() or None,
        "openai_api_key": environ.get("OPENAI_API_KEY", "").strip() or None,
        "prices": Path(prices) if prices else None,
        "budget_usd": read_number(environ, "RIVERRUN_BUDGET_USD"),
        "budget_tokens": read_integer(environ, "RIVERRUN_BUDGET_TOKENS", 0, low=1) or None,
    }


def read_log_format(environ: Mapping[str, str]) -> str:
    """Read how a host without a log of its own writes a record: as `text`, or as `json`."""
    return read_choice(environ, "RIVERRUN_LOG_FORMAT", ("text", "json"), "text")


def _read_host_kind(environ: Mapping[str, str]) -> str:
    """Read what runs this process: a `web-function`, a `function`, or a `server`."""
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "native-http":
        return "web-function"
    return "function" if environ.get("AWS_LAMBDA_FUNCTION_NAME") else "server"


def _read_response_seconds(environ: Mapping[str, str]) -> float | None:
    """Read after how long a response is cut: as it is said, or by a Web Function's timeout.

    A Web Function hears its deadline from nothing but this, and it is not known whether the time
    that a request waited for an environment counts: a margin is left for it, at most a half.
    """
    said = read_seconds(environ, "RIVERRUN_RESPONSE_SECONDS", 0.0) or None
    timeout = read_seconds(environ, "RIVERRUN_WEB_TIMEOUT", 0.0)
    margin = read_number(environ, "RIVERRUN_WEB_MARGIN")
    if not timeout:
        return said
    left = timeout - min(WEB_MARGIN if margin is None else margin, timeout / 2)
    return left if said is None else min(said, left)


def _read_log(environ: Mapping[str, str], default: str) -> str:
    value = environ.get("RIVERRUN_LOG", "") or default
    if not value.startswith(LOG_SCHEMES):
        raise SetupError(
            f"RIVERRUN_LOG={value!r} is not known. It starts with one of: {', '.join(LOG_SCHEMES)}."
        )
    return value


def _read_index(environ: Mapping[str, str], default: str) -> str:
    value = environ.get("RIVERRUN_INDEX", "") or default
    if "://" in value and not value.startswith(INDEX_SCHEMES):
        raise SetupError(
            f"RIVERRUN_INDEX={value!r} is not known. It is a folder made by `make ingest`, or"
            f" starts with one of: {', '.join(INDEX_SCHEMES)}."
        )
    return value


def _read_speed(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise SetupError(
            f"{name}={text!r} must be a number: 1 as it was, 10 ten times as fast, 0 at once."
        )
    return value


def _read_origins(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = read_guards(environ, name)
    for origin in found:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise SetupError(
                f"{name} holds {origin!r}, which is no origin. Write each as a browser does: "
                "https://example.com or http://localhost:5173, without a slash at its end."
            )
    return found
