"""Answers from a GGUF model in this process, through llama.cpp as `xllamacpp` binds it: a demo.

One thread holds the model and says one answer at a time; the library lets the interpreter go
while it computes, so the event loop is never held up. Knows where no file comes from: the path
is given to it. Tries once.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import SetupError
from ...progress import Report, no_report
from ...threads import stream_from_thread
from ..continuation import Continuation
from ..prompt import worded
from ..provider import Piece, Prompt, Text, Usage
from ..provider_errors import chat_error
from ..stop_reasons import ending
from .chat_completions import ENDS, object_of, said_in, usage_in
from .gguf import read_model

WINDOW = 8192
"""Tokens of question, passages and answer together; twenty passages fit. A model that was trained
for fewer gets fewer. Each takes memory: 23 KB in the default model, 190 MB in all."""

BATCH = 16
"""Tokens of a question that are read in one go. A stop is heard between two goes, so the model is
free again after one at the latest; 32 read no faster and stopped in twice the time, reading 512
at once would be a sixth cheaper."""

LINE = 16
"""Questions that may wait for their turn; one more is told to come back."""

Chunk = dict[str, Any]
Give = Callable[[Chunk], bool]

# The first thing a thread says: its turn has come, and the model is in memory.
_BEGUN: Chunk = {}


@dataclass(slots=True, kw_only=True)
class Local:
    """The model in the file `weights`, reported as `model`.

    `threads` compute, beside the one that waits for them; say how many, since what spins on a
    core that others need costs everybody. `timeout` is the longest silence of the model in
    seconds once its turn has come. `instructions` go behind ours.
    """

    model: str
    weights: Path
    threads: int
    timeout: float = 60.0
    temperature: float = 0.0
    instructions: str = ""
    line: int = LINE
    _asked: int = field(default=0, init=False, repr=False)
    _server: Any = field(default=None, init=False, repr=False)
    _steering: re.Pattern[str] = field(default_factory=lambda: _any_of(()), init=False, repr=False)
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="riverrun-local"),
        init=False,
        repr=False,
    )

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - the pipeline has said that it is being written
    ) -> AsyncGenerator[Piece, None]:
        """Ask the model, and yield its text as it comes.

        Raises `ChatError` with the code of what went wrong, ``provider_throttled`` when too many
        wait already, and `SetupError` when the model cannot be loaded. Leaving stops it.
        """
        if self._asked > self.line:
            raise chat_error("provider_throttled", retry_after_ms=5000)
        self._asked += 1
        try:
            joined = Continuation(prompt.so_far, asked=False)
            reason = ""
            usage: Usage | None = None
            async with aclosing(self._chunks(prompt)) as chunks:
                async for chunk in chunks:
                    usage = usage_in(chunk) or usage
                    said, _, end = said_in(chunk)
                    reason = end or reason
                    if text := joined.feed(said):
                        yield Text(text)
        finally:
            self._asked -= 1
        if text := joined.end():
            yield Text(text)
        if usage is not None:
            # What was read before is read faster, and nothing is paid for either.
            yield replace(usage, cost_usd=0.0, cached_tokens=0)
        for piece in ending(reason, ENDS):
            yield piece

    async def close(self) -> None:
        """Let go of the model. What is being said is finished, what waits is dropped."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._server = None

    async def _chunks(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        work = partial(self._answer, prompt)
        async with aclosing(stream_from_thread(work, self._worker, _leave)) as chunks:
            # Its turn may be long in coming: that is not the model's silence.
            chunk = await anext(chunks, None)
            while chunk is not None:
                if error := object_of(chunk.get("error")):
                    too_long = error.get("type") == "exceed_context_size_error"
                    raise chat_error("context_too_long" if too_long else "provider_error")
                yield chunk
                try:
                    async with asyncio.timeout(self.timeout):
                        chunk = await anext(chunks, None)
                except TimeoutError as late:
                    raise chat_error("provider_timeout") from late

    def _answer(self, prompt: Prompt, give: Give) -> None:
        """In the thread: load what is not loaded, and answer."""
        if self._server is None:
            self._load()
        if give(_BEGUN):
            # The library swallows what a callback raises; `give` raises nothing. True ends it.
            self._server.handle_chat_completions(
                self._request(prompt), lambda chunk: not give(object_of(chunk))
            )

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        words = worded(prompt, instructions=self.instructions, prefill=True)
        messages = [("system", words.system)]
        messages += [(message.role, message.text) for message in words.messages]
        return {
            "messages": [{"role": role, "content": self._plain(text)} for role, text in messages],
            "max_tokens": prompt.max_tokens,
            "temperature": self.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
            # A chunk after every batch of the question: where a stop is heard before an answer.
            "return_progress": True,
        }

    def _plain(self, text: str) -> str:
        """`text` without words that steer the model: a document must not end its own message."""
        return self._steering.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _load(self) -> None:
        described = read_model(self.weights)
        window = min(WINDOW, described.window or WINDOW)
        try:
            self._server = _xllamacpp().Server(_params(self.weights, window, self.threads))
        except RuntimeError as error:
            raise SetupError(
                f"The model {self.weights} cannot be loaded: llama.cpp does not know its kind, or "
                "there is not enough memory. Name another one in RIVERRUN_CHAT_GGUF."
            ) from error
        self._steering = _any_of(described.steering)


def _params(weights: Path, window: int, threads: int) -> Any:
    params = _xllamacpp().CommonParams()
    params.model.path = str(weights)
    params.n_parallel = 1
    params.n_ctx = window
    params.n_batch = params.n_ubatch = BATCH
    for computing in (params.cpuparams, params.cpuparams_batch):
        computing.n_threads = threads
        # Percent of the waiting that is spent spinning.
        computing.poll = 0
    # A model that thinks aloud refuses to go on with an answer, and shows nothing for long.
    params.enable_reasoning = 0
    # Of other people's questions nothing is kept.
    params.cache_ram_mib = 0
    params.warmup = False
    params.verbosity = -1
    # The library always listens on a port of loopback as well, which nobody here asks: without
    # its key it says nothing but that it is up.
    params.api_keys = [secrets.token_hex(16)]
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = 1
    params.offline = True
    return params


def _xllamacpp() -> Any:
    # 100 MB of library: not before the first question.
    import xllamacpp

    return xllamacpp


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _leave() -> None:
    # The next chunk is refused, and that is what ends the answer.
    pass
