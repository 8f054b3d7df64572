"""What every provider must do, as functions of the provider.

A provider's own test module calls `check_provider` with a prompt it answers and its usual
settings; nothing here knows what an answer says.
"""

from contextlib import aclosing

import anyio

from services.chat import ChatProvider, ModelUsage, Piece, Prompt, Stop, Text, answer
from services.errors import RiverrunError


async def collect(provider: ChatProvider, prompt: Prompt) -> list[Piece]:
    """All pieces of one answer, through `answer`."""
    async with aclosing(answer(provider, prompt)) as pieces:
        return [piece async for piece in pieces]


async def outcome(
    provider: ChatProvider, prompt: Prompt
) -> tuple[list[Piece], RiverrunError | None]:
    """The pieces of one answer as far as it went, and the error that ended it, if one did."""
    pieces: list[Piece] = []
    try:
        async for piece in answer(provider, prompt):
            pieces.append(piece)  # noqa: PERF401 - a comprehension would lose what came before
    except RiverrunError as error:
        return pieces, error
    return pieces, None


def text_of(pieces: list[Piece]) -> str:
    """What the text pieces say together."""
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


async def check_provider(provider: ChatProvider, prompt: Prompt) -> None:
    """A provider names its model, ends once, says the same twice, and can be left at any piece."""
    assert provider.model
    raw = [piece async for piece in provider.stream(prompt)]
    assert isinstance(raw[-1], Stop)
    assert [piece for piece in raw if isinstance(piece, Stop)] == raw[-1:]
    assert all(isinstance(piece, Text | ModelUsage | Stop) for piece in raw)
    assert await collect(provider, prompt) == raw
    await _can_be_left_anywhere(provider, prompt, len(raw))
    await _does_not_mix(provider, prompt, text_of(raw))


async def _can_be_left_anywhere(provider: ChatProvider, prompt: Prompt, length: int) -> None:
    for seen in range(length):
        stream = provider.stream(prompt)
        for _ in range(seen):
            await anext(stream)
        with anyio.fail_after(1):
            await stream.aclose()


async def _does_not_mix(provider: ChatProvider, prompt: Prompt, expected: str) -> None:
    texts: list[str] = []

    async def read() -> None:
        texts.append(text_of(await collect(provider, prompt)))

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(read)
    assert texts == [expected] * 200
