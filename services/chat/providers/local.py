"""Answers from a GGUF model in this process, through llama.cpp as `xllamacpp` binds it: a demo.

One thread holds the model and computes one answer at a time; the library releases the interpreter
lock while it computes, so the event loop is never held up. The caller gives the path of the file.
Asks the model once.
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
from ..prompt import render_prompt
from ..provider import ModelUsage, Piece, Prompt
from ..provider_errors import make_chat_error, translate_service_error
from ..stop_reasons import end_answer
from .answer_reader import AnswerReader
from .chat_completions import as_object, merge_usage, read_chunk
from .error_bodies import find_error
from .gguf import read_model

WINDOW = 8192
"""Tokens of question, passages and answer together; twenty passages fit. A model that was trained
for fewer gets fewer. Each takes memory: 23 KB in the default model, 190 MB in all."""

BATCH = 16
"""Tokens of a question that are read in one batch. A stop takes effect between two batches, so the
model is free again after one at the latest; 32 read no faster and stopped in twice the time;
reading 512 at once would be a sixth cheaper."""

MAX_WAITING = 16
"""Questions that may wait for their turn; another one is refused with ``provider_throttled``."""

Chunk = dict[str, Any]
Send = Callable[[Chunk], bool]

# The first chunk of a thread: its turn has come, and the model is in memory.
_STARTED: Chunk = {}


@dataclass(slots=True, kw_only=True)
class LocalProvider:
    """The model in the file `weights`, reported as `model`.

    `threads` compute, beside the one that waits for them; a thread that spins on a core that other
    work needs slows all of it. `timeout` is the longest silence of the model in
    seconds once its turn has come. `instructions` follow ours.
    """

    model: str
    weights: Path
    threads: int
    timeout: float = 60.0
    temperature: float = 0.0
    instructions: str = ""
    max_waiting: int = MAX_WAITING
    _callers: int = field(default=0, init=False, repr=False)
    _server: Any = field(default=None, init=False, repr=False)
    _steering: re.Pattern[str] = field(
        default_factory=lambda: _match_any(()), init=False, repr=False
    )
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="riverrun-local"),
        init=False,
        repr=False,
    )

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,
    ) -> AsyncGenerator[Piece, None]:
        """Ask the model, and yield its text as it comes.

        Raises `ChatError` with the code of the failure, ``provider_throttled`` when too many
        questions wait already, and `SetupError` when the model cannot be loaded. Closing the
        generator stops the model.
        """
        if self._callers > self.max_waiting:
            raise make_chat_error("provider_throttled", retry_after_ms=5000)
        self._callers += 1
        reader = AnswerReader(prompt, report, by_instruction=False)
        reason = ""
        usage: ModelUsage | None = None
        try:
            async with aclosing(self._read_chunks(prompt)) as chunks:
                async for chunk in chunks:
                    read = read_chunk(chunk)
                    usage = merge_usage(usage, read.usage)
                    reason = read.finish_reason or reason
                    for piece in reader.read(read.text, read.thought):
                        yield piece
            for piece in reader.finish(is_whole=reason == "stop"):
                yield piece
        finally:
            self._callers -= 1
            reader.close()
        if usage is not None:
            # Cached tokens have no price of their own here: all of it is free.
            yield replace(usage, cost_usd=0.0, cached_tokens=0)
        for piece in end_answer(reason, has_text=reader.has_text):
            yield piece

    async def close(self) -> None:
        """Release the model. The answer under way is finished, waiting questions are dropped."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._server = None

    async def _read_chunks(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        work = partial(self._compute_answer, prompt)
        async with aclosing(stream_from_thread(work, self._worker, _do_nothing)) as chunks:
            # The wait for a turn is not the model's silence.
            chunk = await anext(chunks, None)
            while chunk is not None:
                if (error := find_error(chunk)) is not None:
                    raise translate_service_error(error)
                yield chunk
                try:
                    async with asyncio.timeout(self.timeout):
                        chunk = await anext(chunks, None)
                except TimeoutError as late:
                    raise make_chat_error("provider_timeout") from late

    def _compute_answer(self, prompt: Prompt, send: Send) -> None:
        """In the thread: load what is not loaded, and answer."""
        if self._server is None:
            self._load()
        if send(_STARTED):
            # The library swallows what a callback raises; `send` raises nothing. True ends it.
            self._server.handle_chat_completions(
                self._build_request(prompt), lambda chunk: not send(as_object(chunk))
            )

    def _build_request(self, prompt: Prompt) -> dict[str, Any]:
        words = render_prompt(prompt, instructions=self.instructions, prefill=True)
        messages = [("system", words.system)]
        messages += [(message.role, message.text) for message in words.messages]
        return {
            "messages": [
                {"role": role, "content": self._defuse_tokens(text)} for role, text in messages
            ],
            "max_tokens": prompt.max_tokens,
            "temperature": self.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
            # A chunk after every batch of the question: there a stop takes effect before an answer.
            "return_progress": True,
        }

    def _defuse_tokens(self, text: str) -> str:
        """Return `text` without words that steer the model: no document can end its message."""
        return self._steering.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _load(self) -> None:
        described = read_model(self.weights)
        window = min(WINDOW, described.window or WINDOW)
        try:
            self._server = _import_runtime().Server(
                _build_params(self.weights, window, self.threads)
            )
        except RuntimeError as error:
            raise SetupError(
                f"The model {self.weights} cannot be loaded: llama.cpp does not know its kind, or "
                "there is not enough memory. Name another one in RIVERRUN_CHAT_GGUF."
            ) from error
        self._steering = _match_any(described.steering)


def _build_params(weights: Path, window: int, threads: int) -> Any:
    params = _import_runtime().CommonParams()
    params.model.path = str(weights)
    params.n_parallel = 1
    params.n_ctx = window
    params.n_batch = params.n_ubatch = BATCH
    for computing in (params.cpuparams, params.cpuparams_batch):
        computing.n_threads = threads
        # Percent of the waiting that is spent spinning.
        computing.poll = 0
    # A model that thinks aloud refuses to continue an answer, and shows nothing for long.
    params.enable_reasoning = 0
    # Nothing is kept of earlier questions.
    params.cache_ram_mib = 0
    params.warmup = False
    params.verbosity = -1
    # The library always listens on a port of loopback as well, which is not used here: without
    # its key it answers nothing but that it is up.
    params.api_keys = [secrets.token_hex(16)]
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = 1
    params.offline = True
    return params


def _import_runtime() -> Any:
    # 100 MB of library: not before the first question.
    import xllamacpp

    return xllamacpp


def _match_any(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _do_nothing() -> None:
    # The next chunk is refused, and that ends the answer.
    pass
