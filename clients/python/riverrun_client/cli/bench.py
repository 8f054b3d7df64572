"""Measure an endpoint: so many questions, so many at once; when what came."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

import anyio

from riverrun_client.aio import AsyncClient, AsyncStream
from riverrun_client.cli.arguments import Choice
from riverrun_client.cli.escape import escape_line
from riverrun_client.errors import RiverrunError
from riverrun_client.events import Token
from riverrun_client.retry_policy import RetryPolicy

# A failure is a result here: nothing is tried again.
_NO_RETRIES = RetryPolicy(max_retries=0, max_unanswered=0)

# How long the runs that Ctrl-C leaves open may take to stop, in seconds.
_GRACE = 5.0


@dataclass(slots=True)
class Measurements:
    """Seconds from the question to each moment, for each answer that came; and the failures."""

    first_byte: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    complete: list[float] = field(default_factory=list)
    events: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def bench(choice: Choice, out: TextIO, err: TextIO) -> int:
    """Ask, measure, print. Returns 0 when every question was answered."""
    measured = Measurements()
    began = time.perf_counter()
    if choice.form == "text":
        print(f"- {choice.count} questions, {choice.at_once} at a time", file=err, flush=True)
    interrupted = False
    try:
        anyio.run(_ask_all, choice, measured)
    except KeyboardInterrupt:
        interrupted = True
    measured.seconds = time.perf_counter() - began
    report = summarize(measured)
    text = json.dumps(report) if choice.form != "text" else "\n".join(format_table(report))
    print(text, file=out, flush=True)
    if interrupted:
        return 130
    if not measured.complete and set(measured.errors) == {"unreachable"}:
        return 3
    return 1 if measured.errors else 0


async def _ask_all(choice: Choice, measured: Measurements) -> None:
    numbers = iter(range(choice.count))
    async with (
        AsyncClient(
            choice.url, choice.key, retry_policy=_NO_RETRIES, clock=time.perf_counter
        ) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(min(choice.at_once, choice.count)):
            group.start_soon(_ask_some, client, choice, numbers, measured)


async def _ask_some(
    client: AsyncClient, choice: Choice, numbers: Iterator[int], measured: Measurements
) -> None:
    for _ in numbers:
        stream = client.stream(choice.query, top_k=choice.top_k)
        try:
            await _measure(stream, measured)
        except RiverrunError as error:
            measured.errors[error.code] += 1
        except BaseException:
            # Ctrl-C: this answer will not be read, so it shall not be paid for.
            with anyio.move_on_after(_GRACE, shield=True), suppress(RiverrunError):
                await stream.stop()
            raise


async def _measure(stream: AsyncStream, measured: Measurements) -> None:
    asked = time.perf_counter()
    token: float | None = None
    events = 0
    async for event in stream:
        events += 1
        if token is None and isinstance(event, Token):
            token = time.perf_counter() - asked
    measured.complete.append(time.perf_counter() - asked)
    measured.events += events
    if stream.first_byte is not None:
        measured.first_byte.append(stream.first_byte - asked)
    if token is not None:
        measured.first_token.append(token)


def summarize(measured: Measurements) -> dict[str, Any]:
    """The figures, in milliseconds and per second."""
    seconds = measured.seconds or 1.0
    return {
        "answered": len(measured.complete),
        "failed": measured.errors.total(),
        "errors": dict(measured.errors),
        "seconds": round(measured.seconds, 3),
        "firstByteMs": _summarize_values(measured.first_byte),
        "firstTokenMs": _summarize_values(measured.first_token),
        "completeMs": _summarize_values(measured.complete),
        "eventsPerSecond": round(measured.events / seconds, 1),
        "answersPerSecond": round(len(measured.complete) / seconds, 2),
    }


def _summarize_values(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    at = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {name: round(compute_percentile(ordered, part) * 1000, 1) for name, part in at.items()}


def compute_percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of them do not exceed (nearest rank)."""
    rank = -(-len(ordered) * part // 1)  # rounded up
    return ordered[max(int(rank), 1) - 1]


def format_table(report: dict[str, Any]) -> list[str]:
    """The figures for a person."""
    lines = [
        f"{report['answered']} answered, {report['failed']} failed in {report['seconds']:.1f} s",
        f"{'milliseconds':<14}" + "".join(f"{name:>9}" for name in ("p50", "p90", "p99", "max")),
    ]
    for name, title in (
        ("firstByteMs", "first byte"),
        ("firstTokenMs", "first token"),
        ("completeMs", "complete"),
    ):
        figures = report[name] or {}
        cells = [
            f"{figures[at]:>9.1f}" if figures else f"{'-':>9}"
            for at in ("p50", "p90", "p99", "max")
        ]
        lines.append(f"{title:<14}" + "".join(cells))
    lines.append(
        f"{report['eventsPerSecond']:.1f} events/s, {report['answersPerSecond']:.2f} answers/s"
    )
    lines += [f"  {count} x {escape_line(code)}" for code, count in report["errors"].items()]
    return lines
