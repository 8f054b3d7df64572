"""The scripted provider plays what was written, and lets go at once."""

from contextlib import aclosing

import anyio
import anyio.lowlevel
import pytest

from services.chat import ChatError, ModelUsage, Prompt, Restart, Stop, Text, answer
from services.chat.providers.script_file import parse_script
from services.chat.providers.scripted import ScriptedProvider
from tests.services.chat.conformance import check_provider, collect, outcome, text_of


def play(*steps: dict[str, object]) -> ScriptedProvider:
    """A provider that plays these steps for every question."""
    return ScriptedProvider(parse_script([{"when": "*", "steps": list(steps)}]))


ANY = Prompt("Anything?", ())


@pytest.mark.anyio
async def test_it_keeps_the_rules_of_providers() -> None:
    """The suite every provider runs."""
    steps: list[dict[str, object]] = [{"text": f"{n} "} for n in range(20)]
    await check_provider(play(*steps, {"usage": {"inputTokens": 1}}, {"waitMs": 0}), ANY)


@pytest.mark.anyio
async def test_text_is_streamed_exactly_as_written() -> None:
    """One piece for a step, empty ones and line breaks included; repeat says it again."""
    pieces = await collect(
        play({"text": "a\r\n b"}, {"text": ""}, {"text": "é👩‍👩‍👧", "repeat": 2}), ANY
    )
    assert pieces == [Text("a\r\n b"), Text(""), Text("é👩‍👩‍👧"), Text("é👩‍👩‍👧"), Stop("stop")]


@pytest.mark.anyio
async def test_usage_and_the_reason_to_stop_can_be_scripted() -> None:
    """Steps after a stop are never played."""
    pieces = await collect(
        play(
            {"text": "a"},
            {"usage": {"outputTokens": 7, "costUsd": 0.25}},
            {"stop": "length"},
            {"text": "x"},
        ),
        ANY,
    )
    assert pieces == [Text("a"), ModelUsage(0, 7, 0.25), Stop("length")]


@pytest.mark.anyio
async def test_waiting_asks_the_sleeper_for_seconds() -> None:
    """Time is a parameter."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    script = play({"waitMs": 500}, {"text": "a"}, {"waitMs": 1.5}).script
    assert text_of(await collect(ScriptedProvider(script, sleep), ANY)) == "a"
    assert slept == [0.5, 0.0015]


@pytest.mark.anyio
async def test_an_error_comes_after_the_text_before_it() -> None:
    """A failure in mid-stream keeps what was said."""
    seen, error = await outcome(
        play({"text": "so far"}, {"error": "throttlingException", "retryAfterMs": 1500}), ANY
    )
    assert seen == [Text("so far")]
    assert error
    assert (error.code, error.retryable) == ("provider_throttled", True)
    assert error.retry_after_ms == 1500


@pytest.mark.anyio
async def test_ending_without_stop_is_a_truncated_answer() -> None:
    """The raw stream just ends; `answer` notices."""
    provider = play({"text": "half"}, {"endWithoutStop": True}, {"text": "never"})
    assert [piece async for piece in provider.stream(ANY)] == [Text("half")]
    with pytest.raises(ChatError) as caught:
        await collect(provider, ANY)
    assert caught.value.code == "provider_truncated"


@pytest.mark.anyio
async def test_a_question_without_an_entry_says_so() -> None:
    """The hint tells the author of the script what to add."""
    provider = ScriptedProvider(parse_script([{"when": "tokyo", "steps": []}]))
    with pytest.raises(ChatError, match="no answer for this question") as caught:
        await collect(provider, Prompt("Paris?", ()))
    assert caught.value.code == "provider_error"
    assert caught.value.hint


@pytest.mark.anyio
@pytest.mark.parametrize("step", [{"hang": True}, {"waitMs": 3_600_000}])
async def test_a_reader_who_gives_up_leaves_at_once(step: dict[str, object]) -> None:
    """Cancelling ends a hang or a wait without waiting for it."""
    ended = anyio.Event()

    async def read(started: anyio.Event) -> None:
        try:
            async with aclosing(answer(play({"text": "a"}, step), ANY)) as pieces:
                await anext(pieces)
                started.set()
                await anext(pieces)
        finally:
            ended.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            started = anyio.Event()
            group.start_soon(read, started)
            await started.wait()
            assert not ended.is_set()
            group.cancel_scope.cancel()
    assert ended.is_set()


@pytest.mark.anyio
async def test_a_flood_of_text_lets_other_tasks_run() -> None:
    """Between two pieces the loop has a turn, even if the reader never waits."""
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        assert len(await collect(play({"text": "x", "repeat": 1000}), ANY)) == 1001
        group.cancel_scope.cancel()
    assert turns >= 500


LONG: tuple[dict[str, object], ...] = (
    {"waitMs": 1000},
    {"text": "one "},
    {"usage": {"outputTokens": 1}},
    {"waitMs": 2000},
    {"text": "two ", "repeat": 3},
    {"waitMs": 3000},
    {"text": ""},
    {"text": "three"},
)
WHOLE = "one two two two three"


@pytest.mark.anyio
@pytest.mark.parametrize("length", range(len(WHOLE) + 1))
async def test_it_goes_on_after_any_character(length: int) -> None:
    """With what is left, and no wait that stands before something that was said."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pieces = await collect(
        ScriptedProvider(play(*LONG).script, sleep), Prompt("Anything?", (), so_far=WHOLE[:length])
    )
    assert WHOLE[:length] + text_of(pieces) == WHOLE
    waits = [1.0] * (length == 0) + [2.0] * (length <= 4) + [3.0] * (length <= 16)
    assert slept == waits
    assert pieces[-1] == Stop("stop")


@pytest.mark.anyio
async def test_a_script_that_has_changed_is_told_from_its_beginning() -> None:
    """What was said is taken back first."""
    pieces = await collect(play({"text": "new"}), Prompt("Anything?", (), so_far="old"))
    assert pieces == [Restart("The script has changed."), Text("new"), Stop("stop")]
