"""Settings of a service that strangers reach: who may ask, how much, and what is counted.

`services.settings` reads them with the rest; docs/public.md says how they fit together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .environment import (
    read_choice,
    read_guards,
    read_integer,
    read_list,
    read_number,
    read_seconds,
)
from .errors import SetupError

# What a token of an identity provider may be signed with. `none` and the HMAC family are missing
# on purpose: with a public key as their secret anyone could sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
METRICS = ("off", "emf", "prometheus")
_SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Who may ask, beside the plain keys of `RIVERRUN_API_KEYS`. Times are in seconds."""

    key_list: str = ""
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_jwks: str = ""
    oidc_algorithms: tuple[str, ...] = ("RS256", "ES256")
    anonymous: bool = False
    challenge_url: str = ""
    challenge_secret: str = field(default="", repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)
    visitor_seconds: float = 7 * 24 * 3600.0
    stream_token_seconds: float = 300.0
    hosts: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def is_asked(self) -> bool:
        """Whether a question needs a credential of these settings."""
        return bool(self.key_list or self.oidc_issuer or self.anonymous)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much one visitor, and all together, may ask; None is no limit."""

    visitor_runs_per_minute: int | None = None
    visitor_runs_at_once: int | None = None
    visitor_tokens_per_day: int | None = None
    visitor_usd_per_day: float | None = None
    total_runs_per_minute: int | None = None
    total_tokens_per_day: int | None = None
    total_usd_per_day: float | None = None
    switched_off: bool = False

    @property
    def has_visitor_limit(self) -> bool:
        """Whether anything is counted for each visitor."""
        return not (
            self.visitor_runs_per_minute is None
            and self.visitor_runs_at_once is None
            and self.visitor_tokens_per_day is None
            and self.visitor_usd_per_day is None
        )

    @property
    def has_total_limit(self) -> bool:
        """Whether anything is counted for all visitors together."""
        return not (
            self.total_runs_per_minute is None
            and self.total_tokens_per_day is None
            and self.total_usd_per_day is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Where metrics and traces go. `service` names this installation in both."""

    metrics: str = "off"
    service: str = "riverrun"
    otlp_endpoint: str = ""


def read_access(environ: Mapping[str, str]) -> AccessSettings:
    """Read who may ask. Raises `SetupError`."""
    default = AccessSettings()
    issuer = environ.get("RIVERRUN_OIDC_ISSUER", "").strip()
    audience = environ.get("RIVERRUN_OIDC_AUDIENCE", "").strip()
    if bool(issuer) != bool(audience):
        raise SetupError(
            "RIVERRUN_OIDC_ISSUER and RIVERRUN_OIDC_AUDIENCE go together: without an audience a "
            "token that was made for another service would be let in."
        )
    if issuer and not issuer.startswith("https://"):
        raise SetupError(f"RIVERRUN_OIDC_ISSUER={issuer!r} must begin with https://.")
    algorithms = read_list(environ, "RIVERRUN_OIDC_ALGORITHMS") or default.oidc_algorithms
    if unknown := set(algorithms) - set(ALGORITHMS):
        raise SetupError(
            f"RIVERRUN_OIDC_ALGORITHMS has {', '.join(sorted(unknown))}. "
            f"Use some of: {', '.join(ALGORITHMS)}."
        )
    secrets = read_guards(environ, "RIVERRUN_SIGNING_SECRETS")
    if any(len(secret) < _SHORTEST_SECRET for secret in secrets):
        raise SetupError(
            f"RIVERRUN_SIGNING_SECRETS has one shorter than {_SHORTEST_SECRET} characters. "
            "Make one with: openssl rand -hex 32"
        )
    anonymous = read_choice(environ, "RIVERRUN_ANONYMOUS", ("off", "on"), "off") == "on"
    challenge = environ.get("RIVERRUN_CHALLENGE_URL", "").strip()
    if challenge and not environ.get("RIVERRUN_CHALLENGE_SECRET", "").strip():
        raise SetupError("RIVERRUN_CHALLENGE_URL needs RIVERRUN_CHALLENGE_SECRET.")
    return AccessSettings(
        key_list=environ.get("RIVERRUN_KEY_LIST", "").strip(),
        oidc_issuer=issuer,
        oidc_audience=audience,
        oidc_jwks=environ.get("RIVERRUN_OIDC_JWKS", "").strip(),
        oidc_algorithms=algorithms,
        anonymous=anonymous,
        challenge_url=challenge,
        challenge_secret=environ.get("RIVERRUN_CHALLENGE_SECRET", "").strip(),
        signing_secrets=secrets,
        visitor_seconds=read_seconds(environ, "RIVERRUN_VISITOR_SECONDS", default.visitor_seconds),
        stream_token_seconds=read_seconds(
            environ, "RIVERRUN_STREAM_TOKEN_SECONDS", default.stream_token_seconds
        ),
        hosts=tuple(name.lower() for name in read_list(environ, "RIVERRUN_ALLOWED_HOSTS")),
        is_open=read_choice(environ, "RIVERRUN_OPEN", ("off", "on"), "off") == "on",
    )


def read_limits(environ: Mapping[str, str]) -> LimitSettings:
    """Read how much may be asked. Raises `SetupError`."""

    def count(name: str) -> int | None:
        return read_integer(environ, name, 0, low=1) or None

    return LimitSettings(
        visitor_runs_per_minute=count("RIVERRUN_VISITOR_RUNS_PER_MINUTE"),
        visitor_runs_at_once=count("RIVERRUN_VISITOR_RUNS_AT_ONCE"),
        visitor_tokens_per_day=count("RIVERRUN_VISITOR_TOKENS_PER_DAY"),
        visitor_usd_per_day=read_number(environ, "RIVERRUN_VISITOR_USD_PER_DAY"),
        total_runs_per_minute=count("RIVERRUN_TOTAL_RUNS_PER_MINUTE"),
        total_tokens_per_day=count("RIVERRUN_TOTAL_TOKENS_PER_DAY"),
        total_usd_per_day=read_number(environ, "RIVERRUN_TOTAL_USD_PER_DAY"),
        switched_off=read_choice(environ, "RIVERRUN_SWITCHED_OFF", ("off", "on"), "off") == "on",
    )


def read_telemetry(environ: Mapping[str, str]) -> TelemetrySettings:
    """Read where metrics and traces go. Raises `SetupError`."""
    return TelemetrySettings(
        metrics=read_choice(environ, "RIVERRUN_METRICS", METRICS, "off"),
        service=environ.get("RIVERRUN_SERVICE", "").strip() or TelemetrySettings().service,
        otlp_endpoint=environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip(),
    )
