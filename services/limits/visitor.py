"""What one visitor has used: the record of the ledger, and the few steps on it.

`runs` counts those begun in `minute`, `live` has the place of each run at work with when it is
given up as lost, `tokens` and `micros` (of a dollar) are what was used on `day`.
"""

from collections.abc import Mapping
from typing import Any

from ..public_settings import LimitSettings

_MICROS = 1_000_000


def copy_record(value: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a record, or make the first one of a visitor."""
    empty: dict[str, Any] = {"minute": 0, "runs": 0, "day": 0, "tokens": 0, "micros": 0, "live": {}}
    return {**empty, **value, "live": dict(value.get("live", {}))}


def turn(record: dict[str, Any], now: float, minute: int, day: int) -> None:
    """Forget what belongs to another minute or day, and the places of runs that were lost."""
    if record["minute"] != minute:
        record["minute"], record["runs"] = minute, 0
    if record["day"] != day:
        record["day"], record["tokens"], record["micros"] = day, 0, 0
    record["live"] = {place: until for place, until in record["live"].items() if until > now}


def find_limit(record: Mapping[str, Any], limits: LimitSettings) -> str | None:
    """Name the first limit that the record has reached, or None."""
    usd = limits.visitor_usd_per_day
    checks = (
        ("minute", record["runs"], limits.visitor_runs_per_minute),
        ("at once", len(record["live"]), limits.visitor_runs_at_once),
        ("tokens", record["tokens"], limits.visitor_tokens_per_day),
        ("micros", record["micros"], None if usd is None else int(usd * _MICROS)),
    )
    return next((name for name, used, limit in checks if limit is not None and used >= limit), None)


def enter(record: dict[str, Any], place: str, until: float, tokens: int, micros: int) -> None:
    """Count a run in, with what it may use at most."""
    record["runs"] += 1
    record["live"][place] = round(until)
    record["tokens"] += tokens
    record["micros"] += micros


def leave(record: dict[str, Any], place: str, day: int, tokens: int, micros: int) -> None:
    """Count a run out: its place, and the difference of what it used to what it might have."""
    record["live"].pop(place, None)
    if record["day"] == day:
        record["tokens"] += tokens
        record["micros"] += micros
