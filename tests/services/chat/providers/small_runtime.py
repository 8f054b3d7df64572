"""A stand-in for `xllamacpp`: its shapes, and chunks that a test decides."""

import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

Chunk = dict[str, Any]


def delta(text: str | None) -> Chunk:
    """A chunk with text."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def progress(done: int, total: int) -> Chunk:
    """A chunk that says how much of the question was read."""
    return {**delta(None), "prompt_progress": {"total": total, "processed": done}}


def end_chunks(reason: str = "stop") -> list[Chunk]:
    """The last chunks."""
    counted = {
        "completion_tokens": 3,
        "prompt_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    return [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {"choices": [], "usage": counted},
    ]


def whole(*texts: str, reason: str = "stop") -> list[Chunk]:
    """All chunks of an answer."""
    return [progress(10, 10), *map(delta, texts), *end_chunks(reason)]


class Runtime:
    """The module. `play` is asked for the chunks of every request."""

    def __init__(self) -> None:
        self.play: Callable[[dict[str, Any]], Iterable[Chunk]] = lambda _: whole("a")
        self.requests: list[dict[str, Any]] = []
        self.params: list[Any] = []
        self.refuses = False
        self.together = 0
        self.most_together = 0
        self.asked = threading.Event()
        """Set once anything was asked."""
        self.left = threading.Event()
        """Set whenever an answer was ended by its reader."""
        self.idle = threading.Event()
        """Set while nothing is computed."""

    def CommonParams(self) -> Any:  # noqa: N802 - the library's name
        """Settings to fill in."""
        made = SimpleNamespace(model=SimpleNamespace(path=""))
        made.cpuparams, made.cpuparams_batch = SimpleNamespace(), SimpleNamespace()
        return made

    def Server(self, params: Any) -> "Runtime":  # noqa: N802 - the library's name
        """A loaded model: this one."""
        if self.refuses:
            raise RuntimeError("Failed to init server, please check the input params.")
        self.params.append(params)
        return self

    def handle_chat_completions(
        self, request: dict[str, Any], callback: Callable[[Chunk], bool]
    ) -> None:
        """Answer; a callback that returns true ends it."""
        self.requests.append(request)
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        self.idle.clear()
        self.asked.set()
        try:
            for chunk in self.play(request):
                if callback(chunk):
                    self.left.set()
                    break
        finally:
            self.together -= 1
            self.idle.set()
