"""Every provider that asks a model, through its real client over a real socket: one suite.

What a service says in words of its own is in `wires`; what all of it means is here.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fakes.steps import Fake, Step, Stream
from services.chat import ChatProvider, ModelUsage, Piece, Prompt, Stop, Text, answer
from services.chat.provider import ThoughtText
from services.chat.providers import openai as openai_module
from services.errors import RiverrunError
from services.progress import Progress
from tests.services.chat.conformance import check_provider, collect, outcome, text_of
from tests.services.chat.providers.bag import passage
from tests.services.chat.providers.wires import WIRES, Wire, short_of_patience

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Why?", (passage("Why?", "Sky", "The sky is blue because air scatters light."),))
HALF = "Half an "


@pytest.fixture(scope="module", params=WIRES, ids=[wire.name for wire in WIRES])
def wire(request: pytest.FixtureRequest) -> Wire:
    """Each service."""
    made: Wire = request.param
    return made


@pytest.fixture(scope="module")
def running(wire: Wire) -> Iterator[Fake]:
    """Its fake, for all tests here: a client of AWS is dear."""
    with wire.run() as fake:
        yield fake


class OpenProvider:
    """Opens providers of one service, and closes them."""

    def __init__(self, wire: Wire, fake: Fake) -> None:
        self.wire, self.fake = wire, fake
        self._made: list[Any] = []

    def __call__(self, **settings: Any) -> ChatProvider:
        self._made.append(self.wire.open(self.fake.url, settings))
        made: ChatProvider = self._made[-1]
        return made

    async def close(self) -> None:
        for made in self._made:
            if hasattr(made, "close"):
                await made.close()


@pytest.fixture
async def model(
    wire: Wire, running: Fake, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenProvider]:
    """A provider of that service, by its settings; the fake is as it was started."""
    for name, value in wire.environ(running).items():
        monkeypatch.setenv(name, value)
    running.play_by(wire.kind.answering)
    opened = OpenProvider(wire, running)
    yield opened
    await opened.close()


def begin(wire: Wire) -> list[Step]:
    """The beginning of an answer."""
    return [wire.kind.START, wire.kind.text(HALF)]


async def test_it_keeps_every_promise_of_a_provider(
    model: OpenProvider, wire: Wire, running: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred streams at once included."""
    # Two hundred handshakes begin at once, on a machine that may be busy.
    monkeypatch.setattr(openai_module, "CONNECT_TIMEOUT", 60.0)
    running.play(wire.kind.whole("Light ", "scatters ", "[1]."))
    await check_provider(model(), PROMPT)


async def test_text_usage_and_end(model: OpenProvider, wire: Wire, running: Fake) -> None:
    """What goes in comes out, with the tokens it took."""
    running.play(wire.kind.whole("Light ", "é\U0001f5fc", " [1]."))
    assert await collect(model(), PROMPT) == [
        Text("Light "),
        Text("é\U0001f5fc"),
        Text(" [1]."),
        ModelUsage(10, 3, None),
        Stop("stop"),
    ]


async def test_a_piece_is_shown_before_the_next_is_sent(
    model: OpenProvider, wire: Wire, running: Fake
) -> None:
    """Nothing holds a token back."""
    gate = threading.Event()
    kind = wire.kind
    running.play(
        kind.stream(kind.START, kind.text("first"), gate, kind.text(" second"), kind.stop())
    )
    stream = answer(model(), PROMPT)
    assert await anext(stream) == Text("first")
    gate.set()
    assert await anext(stream) == Text(" second")
    await stream.aclose()


async def test_good_ends(model: OpenProvider, wire: Wire, running: Fake) -> None:
    """As the contract calls them."""
    for word, reason in wire.good.items():
        running.play(wire.kind.whole("text", reason=word))
        assert (await collect(model(), PROMPT))[-1] == Stop(reason), word  # type: ignore[arg-type]


async def test_bad_ends(model: OpenProvider, wire: Wire, running: Fake) -> None:
    """A failing model is an error, and so is an unknown word; its usage is reported too."""
    for word, (code, retryable) in wire.bad.items():
        running.play(wire.kind.whole("text", reason=word))
        seen, error = await outcome(model(), PROMPT)
        assert error is not None, word
        assert (error.code, error.retryable) == (code, retryable), word
        assert seen == [Text("text"), ModelUsage(10, 1, None)]
        assert repr(word) in str(error.__cause__) or error.code == "content_filtered"


COMMON: dict[str, tuple[list[Step], str]] = {
    "reset": ([0.05, "cut"], "provider_truncated"),
    "no last chunk": (["end"], "provider_truncated"),
    "no end": ([], "provider_truncated"),
    "silence": (["hang"], "provider_timeout"),
}


async def hear_break(
    model: OpenProvider, running: Fake, reply: Stream, code: str
) -> tuple[list[Piece], RiverrunError | None]:
    """What becomes of an answer that breaks so.

    Only silence is waited for; everything else comes by itself, on a busy machine too. A service
    that was not even asked in that time is given more.
    """
    patience = 0.3 if code == "provider_timeout" else 30.0
    running.play(reply)
    heard = await outcome(model(**short_of_patience(patience)), PROMPT)
    if running.calls:
        return heard
    running.play(reply)
    return await outcome(model(**short_of_patience(10 * patience)), PROMPT)


async def test_streams_that_break(model: OpenProvider, wire: Wire, running: Fake) -> None:
    """Truncation is never taken for an end; all of these may be asked again; one call each."""
    for name, (steps, code) in {**COMMON, **wire.broken}.items():
        reply = wire.kind.stream(*begin(wire), *steps)
        seen, error = await hear_break(model, running, reply, code)
        assert error is not None, name
        assert (error.code, error.retryable) == (code, True), name
        assert text_of(seen) in ("", HALF)
        assert "secret" not in f"{error.message}{error.hint}"
        assert len(running.calls) == 1


async def test_silence_before_the_head_is_a_timeout(
    model: OpenProvider, wire: Wire, running: Fake
) -> None:
    """And nothing at all is an answer that broke off."""
    for reply, code in (
        (wire.kind.stream("hang"), "provider_timeout"),
        (wire.kind.stream(), "provider_truncated"),
    ):
        seen, error = await hear_break(model, running, reply, code)
        assert (seen, error.code if error else "") == ([], code)


async def test_refusals_before_the_stream(model: OpenProvider, wire: Wire, running: Fake) -> None:
    """Their codes, and one request: no client tries again by itself."""
    for name, (reply, code, retryable, wait) in wire.refusals.items():
        running.play(reply)
        seen, error = await outcome(model(), PROMPT)
        assert seen == []
        assert error is not None, name
        assert (error.code, error.retryable, error.retry_after_ms) == (code, retryable, wait), name
        assert "secret" not in f"{error.message}{error.hint}"
        assert error.__cause__ is not None
        assert len(running.calls) == 1


@pytest.mark.parametrize("ending", ["cut", "hang", "end"])
async def test_a_whole_answer_does_not_need_its_usage(
    model: OpenProvider, ending: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks after the end is for the logger, and is not waited for long."""
    model.wire.shorten_patience(monkeypatch)
    kind = model.wire.kind
    model.fake.play(kind.stream(kind.START, kind.text("whole"), kind.stop(), 0.02, ending))
    assert await collect(model(), PROMPT) == [Text("whole"), Stop("stop")]


@pytest.mark.parametrize("seen", [0, 1, 500])
async def test_leaving_closes_the_connection_at_once(
    model: OpenProvider, wire: Wire, running: Fake, seen: int
) -> None:
    """While the first byte is awaited, at the first token, and in the middle."""
    kind = wire.kind
    steps: list[Step] = [kind.START, *(kind.text(f"{n} ") for n in range(seen)), "hang"]
    running.play(kind.stream(*(steps if seen else ["hang"])))
    said: list[Piece] = []
    waiting = asyncio.Event()
    provider = model()

    async def read() -> None:
        async for piece in answer(provider, PROMPT):
            said.append(piece)
            if len(said) == seen:
                waiting.set()

    task = asyncio.create_task(read())
    call = await asyncio.to_thread(running.call)
    if seen:
        await waiting.wait()
    task.cancel()
    await asyncio.wait({task})
    # The promise is 250 ms; here it is that no time of anyone's own (a minute) has to pass.
    assert await asyncio.to_thread(call.over.wait, 30)
    assert call.left
    assert len(running.calls) == 1


async def test_a_model_is_asked_to_go_on(model: OpenProvider, wire: Wire, running: Fake) -> None:
    """It repeats its last words, as asked; they are shown once."""
    running.play(wire.kind.whole("The sky is blue", " because", " of air."))
    prompt = Prompt("Why?", PROMPT.passages, so_far="The sky is blue ")
    assert text_of(await collect(model(), prompt)) == "because of air."
    assert "«The sky is blue»" in wire.kind.question_of(running.calls[0])


async def test_thoughts_are_counted_reported_and_not_shown(
    model: OpenProvider, wire: Wire, running: Fake
) -> None:
    """The reader has the answer, and a status that the model thinks, with its time."""
    kind = wire.kind
    running.play(
        kind.stream(kind.START, wire.thought, 0.05, kind.text("Air."), kind.stop(), kind.usage())
    )
    reports: list[Progress] = []
    pieces = [piece async for piece in model().stream(PROMPT, report=reports.append)]
    assert pieces[0] == ThoughtText("Hm")
    assert text_of(pieces) == "Air."
    assert [report.description for report in reports] == ["Thinking", "Thought for 0 s"]
    assert reports[-1].data is not None
    assert reports[-1].data["thinkingMs"] >= 50
    running.play(kind.stream(kind.START, wire.thought, kind.text("Air."), kind.stop()))
    assert await collect(model(), PROMPT) == [Text("Air."), Stop("stop")]
