"""What it takes to read a token of a compatible endpoint, step by step."""

import json
import statistics
import time
from collections.abc import Callable

from benchmarks.table import Table
from fakes import openai
from services.chat.providers.completion_stream import CompletionStream
from services.chat.providers.event_stream import EventStreamDecoder
from services.chat.providers.thoughts import ThinkingSplitter


def make_table() -> Table:
    """Measure the steps from the bytes of a chunk to its text."""
    chunk = openai.text("word ")
    text = chunk[len(b"data: ") :].strip()
    decoder = EventStreamDecoder()
    stream = CompletionStream(60.0, 60.0, is_thinker=False)
    splitter, thinker = ThinkingSplitter(), ThinkingSplitter()
    splitter.feed("word ")
    thinker.feed("<think>")
    rows = [
        ["JSON alone, which nothing can do without", _time_calls(lambda: json.loads(text))],
        ["the decoder of server-sent events", _time_calls(lambda: decoder.feed(chunk))],
        ["a chunk to its text: both, errors and ends", _time_calls(lambda: [*stream.feed(chunk)])],
        ["the split of thoughts, in an answer", _time_calls(lambda: splitter.feed("word "))],
        ["the split of thoughts, in a thought", _time_calls(lambda: thinker.feed("word "))],
    ]
    return Table(
        "Models: reading a token of a compatible endpoint",
        "The middle of seven runs of 5,000 calls. The first token of a plain answer passes each of "
        "them once.",
        ("what", "us a token"),
        rows,
    )


def _time_calls(call: Callable[[], object]) -> str:
    took = []
    for _ in range(7):
        began = time.thread_time()
        for _ in range(5000):
            call()
        took.append((time.thread_time() - began) / 5000)
    return f"{statistics.median(took) * 1e6:.1f}"
