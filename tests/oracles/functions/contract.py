"""A handler function that does what the payload asks for, to be run by two runtimes."""

import asyncio
import collections
import decimal
import enum
import signal
import sqlite3
import sys
import threading
from types import SimpleNamespace
from typing import Any

from mangum import Mangum

Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 (what users write)
database = sqlite3.connect(":memory:")  # belongs to the thread that imports the module


class Level(enum.IntEnum):
    HIGH = 3


class Record:
    """Has `_asdict`, and is no tuple."""

    def _asdict(self) -> dict[str, Any]:
        return {"record": Point(1, 2)}


async def app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


mangum = Mangum(app, lifespan="off")
RESULTS: dict[str, Any] = {
    "nothing": None,
    "text": "\u00fc \u2028 \U0001f600",
    "bytes inside": {"a": b"text", b"key": [b"x"]},
    "bytes that are no text": [b"\xff"],
    "bytes": b"\x00\xff raw",
    "decimals": [decimal.Decimal("1.10"), decimal.Decimal("123456789012345678901234567890.5")],
    "odd decimals": [decimal.Decimal("NaN"), decimal.Decimal("1E+3"), decimal.Decimal("-0")],
    "floats": [1.0, 1e100, float("nan"), float("inf")],
    "a named tuple": Point(1, Point(2, b"3")),
    "_asdict": Record(),
    "a tuple": (1, (2,)),
    "an enum": {"level": Level.HIGH, "large": 2**70},
    "keys": {1: "a", None: "b", False: "c", 1.5: "d"},
    "an odd key": {(1, 2): 3},
    "a set": {1},
    "an object": object(),
    "a namespace": SimpleNamespace(a=1),
}


def fail() -> None:
    raise LookupError("no such thing")


def use_alarm() -> str:
    """Signals reach the main thread only."""
    caught: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, _: caught.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    return signal.Signals(caught[0]).name


def run_on_loop() -> int:
    async def work() -> int:
        await asyncio.sleep(0)
        return 6 * 7

    return asyncio.get_event_loop().run_until_complete(work())


def handler(event: Any, context: Any) -> Any:
    """One case, or an HTTP request for Mangum."""
    if not isinstance(event, dict) or "case" not in event:
        return mangum(event, context)
    case = event["case"]
    if case in RESULTS:
        return RESULTS[case]
    if case == "exit":
        sys.exit(event["status"])
    if case == "chain":
        try:
            fail()
        except LookupError as error:
            raise ValueError("because of it") from error
    cases: dict[str, Any] = {
        "fail": fail,
        "alarm": use_alarm,
        "loop": run_on_loop,
        "thread": lambda: threading.current_thread() is threading.main_thread(),
        "database": lambda: database.execute("SELECT 6 * 7").fetchone()[0],
    }
    return cases[case]()
