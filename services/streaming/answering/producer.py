"""What answers a question: the producer that was handed in, a recording, or the pipeline."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine

from ..app import App
from ..question import Question
from ..run.stages import Output
from .development import show_errors
from .pipeline import answer_question
from .replay import replay

Producer = Callable[[Question], AsyncIterable[Output]] | AsyncIterable[Output]
"""An async generator of events or strings, or a function of the question that makes one."""


def open_producer(
    producer: Producer | None, question: Question, app: App
) -> AsyncGenerator[Output, None]:
    """Return what `producer` says to `question`; the pipeline where there is none.

    Raises `TypeError` for what is no producer.
    """
    output = _open(producer, question, app)
    return show_errors(output) if app.settings.show_errors else output


def _open(producer: Producer | None, question: Question, app: App) -> AsyncGenerator[Output, None]:
    if producer is None and app.settings.replay is not None:
        return replay(question, app.recordings, app.settings.replay_speed)
    if producer is None:
        return answer_question(question, app)
    # Whatever the types promise, a function without `yield` is an easy mistake.
    said: object = producer(question) if callable(producer) else producer
    if isinstance(said, AsyncGenerator):
        return said
    if isinstance(said, AsyncIterable):
        return _as_generator(said)
    if isinstance(said, Coroutine):
        said.close()
    raise TypeError(
        f"A producer is an async generator of events or strings, not {type(said).__name__}. "
        "Write `async def` with `yield`."
    )


def producer_name(producer: Producer | None, *, resumable: bool) -> str | None:
    """Return by which name a run knows what can go on with it: "" the pipeline, None nothing."""
    if producer is None:
        return ""
    if not resumable or not callable(producer):
        return None  # a generator that was handed in is at its end when it is closed
    kind = producer if hasattr(producer, "__qualname__") else type(producer)
    return f"{kind.__module__}.{kind.__qualname__}"


async def _as_generator(said: AsyncIterable[Output]) -> AsyncGenerator[Output, None]:
    iterator = aiter(said)
    try:
        async for event in iterator:
            yield event
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
