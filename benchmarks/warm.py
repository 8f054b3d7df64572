"""A warm start: from the start of a process to the first word of its first answer.

``python -m benchmarks.warm`` prints the tables. Bytecode and page cache are warm, as after a first
`make dev`. The floors are programs that do nothing else of it: what onnxruntime and numpy take
to embed one question, and what one inference takes once they are open.
"""

import json
import statistics
import subprocess
import sys

from benchmarks.table import Table
from services.embedding.local import find_weights
from services.settings import ROOT

STARTS = 7

# The graph that comes with the weights, opened as the library's manual says.
BARE = """
import sys, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
ids = np.arange(1000, 1012)[None]
session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids),
                   "token_type_ids": np.zeros_like(ids)})
"""

EMBEDDER = """
import asyncio
from services.embedding.local import LocalEmbedder
asyncio.run(LocalEmbedder().embed(["What is banchan?"], "question"))
"""

IMPORT = "import functions.chat"

ANSWER = """
import asyncio, functions.chat
from services.streaming import default_app, handle_streaming_request

async def main():
    app = default_app()
    app.open_ahead()  # as the endpoint does before it reads its request
    asked = {"query": "What is banchan?", "streaming": True}
    response = await handle_streaming_request(asked, app=app)
    async for part in response.body_iterator:
        if b'"type":"token"' in (part if isinstance(part, bytes) else part.encode()):
            end()

asyncio.run(main())
"""

# The end of a program at once: what an answer leaves to be put away is none of its start.
END = "import os\nend = lambda: os._exit(0)\n"

# Milliseconds of one inference, by itself and as one of sixteen, for a question of many tokens.
INFERENCE = """
import json, statistics, time
from services.embedding.local import LocalEmbedder
infer = LocalEmbedder()._open()._infer
found = []
for tokens in (12, 16, 19):
    for rows in (1, 16):
        texts = [[101, *range(2000, 1998 + tokens), 102]] * rows
        took = []
        for _ in range(40):
            began = time.perf_counter()
            infer(texts)
            took.append((time.perf_counter() - began) * 1000 / rows)
        found.append((tokens, rows, min(took), statistics.median(took)))
print(json.dumps(found))
"""

PROGRAMS = (
    ("floor: numpy, onnxruntime, the weights' own graph, one question embedded", BARE),
    ("floor: the same with our graph, checked by hash, and our tokenizer", EMBEDDER),
    ("`functions.chat` imported", IMPORT),
    ("the first word of the first answer", ANSWER),
)


# In a process of its own, whose only child is the program: its processor time is exact.
COUNT = """
import json, os, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall = time.perf_counter() - began
times = os.times()
print(json.dumps([wall * 1000, (times.children_user + times.children_system) * 1000]))
"""


def _start(program: str) -> tuple[float, float]:
    """Run a program; return its milliseconds by the clock and of the processor."""
    arguments = [sys.executable, "-c", f"{END}{program}\nend()", str(find_weights())]
    counted = subprocess.run(
        [sys.executable, "-c", COUNT, *arguments],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    wall, busy = json.loads(counted.stdout)
    return wall, busy


def tables() -> list[Table]:
    """Return the starts and the inferences, each as a table."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in PROGRAMS}
    for number in range(STARTS + 1):
        for name, program in PROGRAMS:
            took = _start(program)
            if number:  # the first writes bytecode and fills the page cache
                found[name].append(took)
    starts = [
        (
            name,
            *(
                f"{min(column):.0f}, {statistics.median(column):.0f}"
                for column in zip(*took, strict=True)
            ),
        )
        for name, took in found.items()
    ]
    printed = subprocess.run(
        [sys.executable, "-c", INFERENCE],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    inferences = [
        (tokens, rows, f"{least:.2f}", f"{median:.2f}")
        for tokens, rows, least, median in json.loads(printed)
    ]
    return [
        Table(
            "A warm start",
            "Milliseconds from the start of the interpreter until what is named has happened; the "
            f"least and the median of {STARTS}, in turn.",
            ("until", "by the clock", "of the processor"),
            starts,
        ),
        Table(
            "One inference",
            "Milliseconds a question, by its tokens and by how many share the inference; of the "
            "shipped questions the mean one has 16 tokens.",
            ("tokens", "questions", "least", "median"),
            inferences,
        ),
    ]


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
