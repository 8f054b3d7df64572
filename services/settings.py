"""Settings: read once from the environment into one frozen object.

Names and defaults are in docs/settings.md. An unknown value is a `SetupError` that lists the
known ones; nothing outside this module reads the environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.errors import SetupError

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_INDEX = ROOT / "knowledge" / "index"

CHAT_PROVIDERS = ("extractive", "scripted")
EMBEDDING_PROVIDERS = ("local",)
LOG_SCHEMES = ("memory://", "sqlite://", "dynamodb://")
ABANDONED = ("finish", "pause", "stop")

# What an environment that says nothing gets; code that makes `Settings` itself gets memory.
DEFAULT_LOG = "sqlite://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an installation chose. Times are in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = 8888
    chat: str = "extractive"
    script: Path | None = None
    embedding: str = "local"
    model_path: Path | None = None
    index: str = str(SHIPPED_INDEX)
    log: str = "memory://"
    keep: float | None = None
    replay: Path | None = None
    replay_speed: float = 1.0
    abandoned: str = "finish"
    abandoned_after: float = 0.0
    data_dir: Path = Path(".riverrun")
    allowed_origins: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    gateway_secrets: tuple[str, ...] = ()
    max_streams: int = 2000
    heartbeat: float = 10.0
    deadline: float = 900.0
    front_cap: float | None = None
    longest: float = 3600.0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Turn environment variables into `Settings`.

    Raises `SetupError` for a value that is not one of the known ones.
    """
    default = Settings()
    script = environ.get("RIVERRUN_SCRIPT", "")
    replay = environ.get("RIVERRUN_REPLAY", "")
    model_path = environ.get("RIVERRUN_MODEL", "")
    settings = Settings(
        host=environ.get("HOST", "") or default.host,
        port=_integer(environ, "PORT", default.port, low=0, high=65535),
        chat=_choice(environ, "RIVERRUN_CHAT", CHAT_PROVIDERS, default.chat),
        script=Path(script) if script else None,
        embedding=_choice(environ, "RIVERRUN_EMBEDDING", EMBEDDING_PROVIDERS, default.embedding),
        model_path=Path(model_path) if model_path else None,
        index=environ.get("RIVERRUN_INDEX", "") or default.index,
        log=_log(environ, DEFAULT_LOG),
        keep=_seconds(environ, "RIVERRUN_KEEP", 0.0) or None,
        replay=Path(replay) if replay else None,
        replay_speed=_speed(environ, "RIVERRUN_REPLAY_SPEED", default.replay_speed),
        abandoned=_choice(environ, "RIVERRUN_ABANDONED", ABANDONED, default.abandoned),
        abandoned_after=_seconds(environ, "RIVERRUN_ABANDONED_AFTER", default.abandoned_after),
        data_dir=Path(environ.get("RIVERRUN_DATA_DIR", "") or default.data_dir),
        allowed_origins=_list(environ, "RIVERRUN_ALLOWED_ORIGINS"),
        api_keys=_list(environ, "RIVERRUN_API_KEYS"),
        gateway_secrets=_list(environ, "RIVERRUN_GATEWAY_SECRETS"),
        max_streams=_integer(environ, "RIVERRUN_MAX_STREAMS", default.max_streams, low=1),
        heartbeat=_seconds(environ, "RIVERRUN_HEARTBEAT", default.heartbeat),
        deadline=_seconds(environ, "RIVERRUN_DEADLINE", default.deadline),
        front_cap=_seconds(environ, "RIVERRUN_FRONT_CAP", 0.0) or None,
        longest=_seconds(environ, "RIVERRUN_LONGEST", default.longest),
    )
    if settings.chat == "scripted" and settings.script is None:
        raise SetupError("RIVERRUN_CHAT=scripted needs RIVERRUN_SCRIPT, the path of a JSON script.")
    return settings


def _choice(environ: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    value = environ.get(name, "") or default
    if value not in known:
        raise SetupError(f"{name}={value!r} is not known. Use one of: {', '.join(known)}.")
    return value


def _log(environ: Mapping[str, str], default: str) -> str:
    value = environ.get("RIVERRUN_LOG", "") or default
    if not value.startswith(LOG_SCHEMES):
        raise SetupError(
            f"RIVERRUN_LOG={value!r} is not known. It starts with one of: {', '.join(LOG_SCHEMES)}."
        )
    return value


def _integer(
    environ: Mapping[str, str], name: str, default: int, *, low: int, high: int | None = None
) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    value = int(text) if text.isascii() and text.isdigit() else -1
    if value < low or (high is not None and value > high):
        limits = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise SetupError(f"{name}={text!r} must be a whole number {limits}.")
    return value


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise SetupError(f"{name}={text!r} must be a number of seconds greater than 0.")
    return value


def _speed(environ: Mapping[str, str], name: str, default: float) -> float:
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


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip())
