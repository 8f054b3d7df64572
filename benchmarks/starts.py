"""The runtimes at a plain Runtime API, one invocation at a time: cold starts and turns.

The emulator would be the larger part of these figures. The last rows say what is left when
everything that a runtime is for is taken away.
"""

import time

from benchmarks import contenders as of
from benchmarks import plain, processes
from benchmarks.effort import Effort
from benchmarks.figures import Figures
from benchmarks.table import Table

COLD = (of.BARE, of.STARLETTE, of.CHAT, of.NODE, of.MANGUM, of.ADAPTER, of.IMPORTS)
QUEUE = (
    of.BARE, of.KEPT, of.STARLETTE, of.NODE, of.MANGUM, of.LOOP, of.LOOP_KEPT, of.CEILING,
)  # fmt: skip


def cold(effort: Effort, found: Figures) -> Table:
    """From the start of the process to its first `/next`."""
    for number in range(effort.cold_starts + 1):
        for one in of.present(COLD):
            with plain.start_contender(one) as (_, group, milliseconds):
                if number:  # the first writes the .pyc files and fills the page cache
                    found.add("cold", one, milliseconds)
                    found.add("cold cpu", one, processes.cpu_seconds(group) * 1000)
    rows = [
        (
            one.name,
            found.format_median("cold", one),
            found.format_ratio("cold", one, of.MANGUM),
            found.format_median("cold cpu", one),
        )
        if not one.missing
        else (one.name, one.missing, "", "")
        for one in COLD
    ]
    return Table(
        "Cold start",
        "Milliseconds from the start of the process to its first `/next`, with `.pyc` files, "
        f"median of {effort.cold_starts}; and the processor time in them.",
        ("runtime", "ms", "against awslambdaric", "CPU ms"),
        rows,
    )


def invocations(effort: Effort, found: Figures) -> Table:
    """How many answers of one event a second, and what each takes."""
    for _ in range(effort.rounds):
        for one in of.present(QUEUE):
            with plain.start_contender(one) as (api, group, _):
                asked = plain.payload("/events", count=1)
                for _ in range(50):
                    api.invoke(asked)
                cpu, began = processes.cpu_seconds(group), time.perf_counter()
                for _ in range(effort.invocations):
                    api.invoke(asked)
                api.wait_for_next()
                took = time.perf_counter() - began
                found.add("invocations", one, effort.invocations / took)
                used = (processes.cpu_seconds(group) - cpu) / effort.invocations
                found.add("invocation cpu", one, used * 1e6)
    rows = [
        (
            "ready-made bytes, no runtime" if one is of.CEILING else one.name,
            found.format_median("invocations", one),
            found.format_median("invocation cpu", one),
        )
        for one in of.present(QUEUE)
    ]
    return Table(
        "Invocations, one after the other",
        "An answer of one event to a plain Runtime API on blocking sockets, whose own time is in "
        "every row. The last three are clients that read no payload and ask no application. "
        "Median of "
        f"{effort.rounds}.",
        ("runtime", "a second", "CPU us each"),
        rows,
    )
