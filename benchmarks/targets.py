"""The figures that the runtime has set itself, and what this run says of them."""

import os

from benchmarks import contenders as of
from benchmarks.effort import Effort
from benchmarks.figures import Figures, check_target
from benchmarks.table import Table


def targets(effort: Effort, found: Figures) -> Table:
    """One row a target: asked, measured, and the floor where one was measured too."""
    ratio, middle = found.ratio, found.middle
    rows = [
        check_target(
            "events/s, bare ASGI, against Node's pipeline", ratio("events", of.BARE, of.NODE), 3.0
        ),
        check_target("... in processor time", ratio("event cpu", of.NODE, of.BARE), 3.0),
        check_target("with Starlette, against Node", ratio("events", of.STARLETTE, of.NODE), 1.45),
        check_target("... in processor time", ratio("event cpu", of.NODE, of.STARLETTE), 1.45),
        check_target(
            "with Starlette, against uvicorn", ratio("events", of.STARLETTE, of.UVICORN), 6.0
        ),
        check_target(
            "the whole facade, against uvicorn + sse-starlette",
            ratio("events", of.FACADE, of.SSE_STARLETTE),
            4.0,
        ),
        check_target(
            "first byte, against Node",
            ratio("first", of.BARE, of.NODE),
            -0.55,
            ratio("first", of.CEILING, of.NODE),
        ),
        check_target(
            "first byte at the Runtime API, against Node",
            ratio("first at api", of.BARE, of.NODE),
            -0.55,
            ratio("first at api", of.LOOP, of.NODE),
        ),
        check_target(
            "first byte, against the emulator with ready-made bytes",
            ratio("first", of.BARE, of.CEILING),
            -1.25,
        ),
        check_target(
            "first byte at the Runtime API, against asyncio with ready-made bytes",
            ratio("first at api", of.BARE, of.LOOP),
            -1.25,
        ),
        check_target(
            "yield to client, against two processes that copy bytes, median",
            ratio("paced", of.BARE, of.RELAY),
            -1.25,
        ),
        check_target("... p99", ratio("paced p99", of.BARE, of.RELAY), -1.25),
        check_target(
            "yield to client, against the Lambda Web Adapter",
            ratio("paced", of.BARE, of.ADAPTER),
            -1.0,
        ),
        check_target(
            "events/s, Starlette, against the Lambda Web Adapter",
            ratio("events", of.STARLETTE, of.ADAPTER),
            4.0,
        ),
        check_target(
            "first byte, Starlette, against the Lambda Web Adapter",
            ratio("first", of.STARLETTE, of.ADAPTER),
            -0.8,
        ),
        check_target(
            "cold start, Starlette, against the Lambda Web Adapter",
            ratio("cold", of.STARLETTE, of.ADAPTER),
            -0.9,
        ),
        check_target(
            "64 KiB chunks, CPU per byte against Node", ratio("chunk cpu", of.BARE, of.NODE), -1.0
        ),
        check_target("growth for a slow reader, MB", middle("growth", of.BARE), -0.5),
        check_target(
            "cold start, Starlette, against awslambdaric",
            ratio("cold", of.STARLETTE, of.MANGUM),
            -0.9,
            ratio("cold", of.IMPORTS, of.MANGUM),
        ),
        check_target(
            "... in processor time",
            ratio("cold cpu", of.STARLETTE, of.MANGUM),
            -0.9,
            ratio("cold cpu", of.IMPORTS, of.MANGUM),
        ),
        check_target(
            "cold start of functions/chat.py, the same", ratio("cold", of.CHAT, of.MANGUM), -1.5
        ),
        check_target(f"{effort.streams:,} streams: starved", middle("starved", of.BARE), -0.0),
        check_target("... late by, p99 ms", middle("crowd lag", of.BARE), -50),
        check_target("... KB each", middle("crowd memory", of.BARE), -60),
        check_target(
            "time of an invocation, minimal ASGI app, against asyncio with ready-made bytes",
            ratio("invocations", of.LOOP, of.BARE),
            -1.25,
        ),
        check_target(
            "... with RIVERRUN_KEEP_ALIVE=1", ratio("invocations", of.LOOP_KEPT, of.KEPT), -1.25
        ),
    ]
    return Table(
        "The targets",
        "What this run says of the figures the project has set itself. "
        f"The load average at its end was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; "
        "above the number of cores, times and their p99 are of the scheduler, and only the "
        "processor times hold. A floor is the same figure of a program that does nothing but what "
        "any of its kind must: ready-made bytes through the emulator, two asyncio processes that "
        "copy bytes, asyncio with ready-made bytes, the imports alone. What it misses too is out "
        "of reach.",
        ("figure", "target", "measured", "floor", ""),
        rows,
    )
