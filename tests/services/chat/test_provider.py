"""The promises of `answer`, whatever a provider does."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat import ChatError, ModelUsage, Piece, Prompt, Stop, Text, answer
from services.errors import RiverrunError
from services.progress import Progress, Report, no_report
from tests.services.chat.conformance import collect, outcome

PROMPT = Prompt("Why?", ())


@dataclass
class Tape:
    """A provider that plays pieces and errors, and remembers how it was closed."""

    items: tuple[Piece | BaseException, ...]
    at_close: BaseException | None = None
    model: str = "tape"
    closed: list[str] = field(default_factory=list)

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        del prompt  # a tape plays the same to everyone
        report(Progress("Playing"))
        try:
            for item in self.items:
                if isinstance(item, BaseException):
                    raise item
                yield item
            self.closed.append("ran out")
        except GeneratorExit:
            self.closed.append("was closed")
            raise
        finally:
            if self.at_close:
                raise self.at_close


@pytest.mark.anyio
async def test_pieces_come_out_as_they_went_in() -> None:
    """Text, usage and stop pass unchanged and in order."""
    pieces = (Text("a "), Text(""), ModelUsage(3, 2, None), Text("b"), Stop("length"))
    assert await collect(Tape(pieces), PROMPT) == list(pieces)


@pytest.mark.anyio
async def test_nothing_follows_stop_and_the_provider_is_closed_before_it_is_shown() -> None:
    """A caller that sees Stop may rely on the provider being gone."""
    tape = Tape((Text("a"), Stop("stop"), Text("after the end"), Stop("stop")))
    async with aclosing(answer(tape, PROMPT)) as pieces:
        assert await anext(pieces) == Text("a")
        assert tape.closed == []
        assert await anext(pieces) == Stop("stop")
        assert tape.closed == ["was closed"]
        assert [piece async for piece in pieces] == []


@pytest.mark.anyio
async def test_an_answer_without_stop_is_truncated() -> None:
    """A clean end proves nothing: only Stop does."""
    seen, error = await outcome(Tape((Text("half an ans"),)), PROMPT)
    assert seen == [Text("half an ans")]
    assert error
    assert (error.code, error.retryable) == ("provider_truncated", True)


@pytest.mark.anyio
@pytest.mark.parametrize("error", [KeyError("arn:aws:secret"), OSError("10.0.0.7"), TimeoutError()])
async def test_a_foreign_error_becomes_provider_error_and_keeps_its_text_to_the_log(
    error: Exception,
) -> None:
    """The cause is chained; the message is ours."""
    with pytest.raises(ChatError) as caught:
        await collect(Tape((Text("a"), error)), PROMPT)
    assert caught.value.code == "provider_error"
    assert caught.value.__cause__ is error
    assert "secret" not in f"{caught.value.message}{caught.value.hint}"
    assert "10.0" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.anyio
async def test_an_error_of_ours_passes_untouched() -> None:
    """A typed error has its code already."""
    error = RiverrunError("Stopped.", code="deadline")
    with pytest.raises(RiverrunError) as caught:
        await collect(Tape((error,)), PROMPT)
    assert caught.value is error


@pytest.mark.anyio
async def test_a_provider_that_fails_before_its_first_piece_is_a_provider_error() -> None:
    """Even `stream` itself may raise, when it is not a generator function."""

    class FaultyProvider:
        model = "broken"

        def stream(
            self, prompt: Prompt, *, report: Report = no_report
        ) -> AsyncGenerator[Piece, None]:
            raise ValueError(f"no client for {prompt} and {report}")

    with pytest.raises(ChatError, match="could not be written"):
        await collect(FaultyProvider(), PROMPT)


@pytest.mark.anyio
async def test_a_failure_after_stop_does_not_spoil_a_whole_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Closing badly is for the log: the answer was complete."""
    for error in (OSError("reset by peer"), ChatError("late")):
        tape = Tape((Text("whole"), Stop("stop")), at_close=error)
        with caplog.at_level(logging.WARNING):
            assert await collect(tape, PROMPT) == [Text("whole"), Stop("stop")]
        assert caplog.records.pop().exc_info


@pytest.mark.anyio
async def test_a_reader_who_leaves_closes_the_provider() -> None:
    """Closing `answer` at a piece closes what is below it."""
    tape = Tape((Text("a"), Text("b"), Stop("stop")))
    pieces = answer(tape, PROMPT)
    await anext(pieces)
    await pieces.aclose()
    assert tape.closed == ["was closed"]


@pytest.mark.anyio
async def test_a_cancelled_reader_frees_a_provider_that_waits() -> None:
    """Cancellation reaches the provider's own await, and is not mistaken for an error."""
    freed = anyio.Event()
    waiting = anyio.Event()

    class SlowProvider:
        model = "waiting"

        async def stream(
            self, prompt: Prompt, *, report: Report = no_report
        ) -> AsyncGenerator[Piece, None]:
            del prompt, report
            try:
                yield Text("a")
                waiting.set()
                await anyio.sleep_forever()
            finally:
                freed.set()

    async with anyio.create_task_group() as group:
        group.start_soon(collect, SlowProvider(), PROMPT)
        await waiting.wait()
        group.cancel_scope.cancel()
    assert freed.is_set()


@pytest.mark.anyio
async def test_an_answer_never_started_starts_no_provider() -> None:
    """Nothing is acquired before the first piece is asked for."""
    tape = Tape((Stop("stop"),))
    await answer(tape, PROMPT).aclose()
    assert tape.closed == []


@pytest.mark.anyio
async def test_progress_reaches_the_callback() -> None:
    """The report of a provider reaches the caller."""
    heard: list[Progress] = []
    tape = Tape((Text("a"), Stop("stop")))
    async with aclosing(answer(tape, PROMPT, report=heard.append)) as pieces:
        assert [piece async for piece in pieces] == [Text("a"), Stop("stop")]
    assert heard == [Progress("Playing")]


pieces_or_errors = st.lists(
    st.one_of(
        st.builds(Text, st.text(max_size=5)),
        st.just(ModelUsage(1, 1, 0.0)),
        st.just(Stop("stop")),
        st.sampled_from([lambda: OSError("x"), lambda: ChatError("y")]),
    ),
    max_size=8,
)


@given(pieces_or_errors)
def test_whatever_a_provider_does_there_is_one_end(
    script: list[Piece | Callable[[], Exception]],
) -> None:
    """Either the last piece is the only Stop, or there is none and a typed error."""
    items = [item() if callable(item) else item for item in script]
    seen, error = anyio.run(outcome, Tape(tuple(items)), PROMPT)
    stops = [piece for piece in seen if isinstance(piece, Stop)]
    assert (stops == seen[-1:] and not error) if stops else error
    assert seen == items[: len(seen)]


def test_whether_to_try_again_follows_from_the_code_unless_said() -> None:
    """Throttling, time-outs and broken-off answers may pass; refusals do not."""
    assert ChatError("m", code="provider_timeout").retryable
    assert not ChatError("m", code="content_filtered").retryable
    assert not ChatError("m").retryable
    assert ChatError("m", retryable=True).retryable
    assert not ChatError("m", code="provider_timeout", retryable=False).retryable
