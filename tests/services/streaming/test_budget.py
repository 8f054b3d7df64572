"""A budget is a run's: what every call for an answer took, in whatever invocation, is taken off it.

Through the facade, with a real file for a log and a price table of the installation's own.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from services.chat import ChatProvider, ModelUsage, Piece, Prompt, Stop, Text
from services.chat.budget import Budget, BudgetedProvider
from services.chat.prices import read_prices
from services.chat.prompt import estimate_prompt_tokens, estimate_tokens
from services.chat.provider_errors import make_chat_error
from services.chat.retry import RetryingProvider
from services.progress import Progress, Report, no_report
from services.settings import Settings
from services.streaming import (
    App,
    Cursor,
    Question,
    ReaderTerms,
    handle_resume,
    handle_streaming_request,
)
from services.streaming.run.errors import PausedError
from tests.event_stream import EventStreamParser
from tests.services.streaming.invocations import Documents, Told, kinds

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

Steps = list[Piece | Exception | Literal["hang"]]

FIRST = "The sky is blue, " * 12
REST = "and that is all."
WELL: Steps = [Text(REST), ModelUsage(300, 40, None), Stop("stop")]
CUT: Steps = [Text(FIRST), "hang"]
IN, OUT = 2.0, 10.0
THINKING = "Thinking"


@dataclass
class Plays:
    """A model that plays one list of steps a call, and says nothing of what it hangs in."""

    calls: list[Steps]
    asked: list[Prompt] = field(default_factory=list)
    model: str = "m-1"

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,
    ) -> AsyncGenerator[Piece, None]:
        """The next list."""
        self.asked.append(prompt)
        for step in self.calls[len(self.asked) - 1]:
            if step == "hang":
                report(Progress(THINKING))
                await asyncio.Event().wait()
            elif isinstance(step, Exception):
                raise step
            else:
                yield step


def estimate(prompt: Prompt, said: str = "") -> tuple[int, int]:
    """What a call is thought to have taken that did not tell."""
    return estimate_prompt_tokens(prompt), estimate_tokens(said)


def dollars(estimate_prompt_tokens: int, tokens_out: int) -> float:
    return (estimate_prompt_tokens * IN + tokens_out * OUT) / 1e6


@dataclass
class House:
    """Processes that share one log in a file, and a model behind its meter."""

    folder: Path
    stack: AsyncExitStack
    plays: Plays
    budget: Budget
    processes: list[App] = field(default_factory=list)

    def process(self) -> App:
        """Another process."""
        settings = Settings(log=f"sqlite://{self.folder}/runs.sqlite")
        app = App(settings, chat=self.chat(), context=Documents())
        self.stack.push_async_callback(app.log.close)
        self.processes.append(app)
        return app

    def chat(self) -> ChatProvider:
        """The model, its price from the table, and patience."""
        file = self.folder / "prices.json"
        file.write_text(json.dumps({"models": [{"model": "m-*", "input": IN, "output": OUT}]}))
        price = read_prices(file).find(self.plays.model)
        return RetryingProvider([BudgetedProvider(self.plays, price, self.budget)], sleep=_at_once)


async def _at_once(_seconds: float) -> None:
    pass


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., Any]:
    """Makes a house for the length of a block."""

    @asynccontextmanager
    async def make_runs(*calls: Steps, **budget: Any) -> AsyncGenerator[House, None]:
        # A model that hangs and is not left would hang the test.
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            house = House(tmp_path, stack, Plays(list(calls)), Budget(**budget))
            yield house
            for app in house.processes:
                for production in list(app.live.tasks.values()):
                    await production.wait()
                assert app.live.streams == 0

    return make_runs


Then = Callable[[App, str], Awaitable[object]]


async def pause(app: App, run: str) -> None:
    """The invocation's time is over."""
    app.live.tasks[run].stop(PausedError("deadline"))


async def expire(app: App, run: str) -> None:
    """The producer is thought dead: it says nothing and holds nothing any more."""
    live = app.live.tasks[run].run
    known = await app.log.find(run, live.owner)
    await app.log.doubt(known)
    await app.log.expire(known)


async def read(response: Any, app: App, after: str = "", then: Then | None = None) -> Told:
    """The events of a body; `then` happens when its tokens are `after`, or, "", at the hang."""
    parser, found, text = EventStreamParser(), [], ""
    async with aclosing(response.body_iterator) as chunks:
        async for chunk in chunks:
            has_id = b"\nid: " in b"\n" + chunk
            for event in parser.feed(chunk):
                data = json.loads(event.data)
                found.append((event.id if has_id else "", data))
                text += data.get("text", "")
                if then is not None and (text == after if after else _thinks(data)):
                    run, then_ = event.id.rpartition("-")[0], then
                    then = None
                    await then_(app, run)
    return found


def _thinks(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "status" and event["status"]["description"] == THINKING)


async def ask(app: App, after: str = FIRST, then: Then | None = pause, **more: Any) -> Told:
    question = Question(query="go", resume=True, **more)
    response = await handle_streaming_request(question, app=app)
    return await read(response, app, after, then)


async def go_on(app: App, told: Told, after: str = "", then: Then | None = None) -> Told:
    run, _, seq = told[-1][1]["cursor"].rpartition("-")
    reader = ReaderTerms(resume=True)
    response = await handle_resume(Cursor(run, int(seq)), reader=reader, app=app)
    return await read(response, app, after, then)


def usages(told: Told) -> list[dict[str, Any]]:
    return [event["usage"] for _, event in told if event["type"] == "usage"]


def usage_on_the_wire(estimate_prompt_tokens: int, tokens_out: int) -> dict[str, Any]:
    """A usage as the wire has it."""
    return {
        "inputTokens": estimate_prompt_tokens,
        "outputTokens": tokens_out,
        "costUsd": pytest.approx(dollars(estimate_prompt_tokens, tokens_out), abs=1e-9),
    }


async def test_what_a_paused_invocation_took_is_estimated_and_on_the_bill(house: Any) -> None:
    """Tokens and money of the whole run; told before the next call is, and as one bill."""
    async with house(CUT, WELL) as made:
        first = await ask(made.process())
        assert usages(first) == []
        rest = await go_on(made.process(), first)
        took_in, took_out = estimate(made.plays.asked[0], FIRST)
        whole = usage_on_the_wire(took_in + 300, took_out + 40)
        assert usages(rest) == [usage_on_the_wire(took_in, took_out), whole]
        result = rest[-1][1]["result"]
        assert (result["answer"], result["finishReason"]) == (FIRST + REST, "stop")
        assert result["usage"] == whole
        assert made.plays.asked[1].so_far == FIRST


async def test_a_producer_that_died_is_paid_for_too(house: Any) -> None:
    """It left only its events: the estimate is made of those."""
    async with house(CUT, WELL) as made:
        one, other = made.process(), made.process()
        rest: Told = []

        async def take_over(app: App, run: str) -> None:
            await expire(app, run)
            last = await app.log.read_last(run)
            assert last is not None
            cursor = ("", {"cursor": f"{run}-{last.seq}"})
            rest.extend(await go_on(other, [cursor]))

        first = await ask(one, FIRST, take_over)
        took_in, took_out = estimate(made.plays.asked[0], FIRST)
        result = rest[-1][1]["result"]
        assert result["usage"] == usage_on_the_wire(took_in + 300, took_out + 40)
        # The reader of the dead one reads on, of the same run.
        assert first[-1] == rest[-1]


@pytest.mark.parametrize("tokens", [True, False], ids=["tokens", "dollars"])
@pytest.mark.parametrize("left", [200, 15, -500])
async def test_the_next_invocation_has_what_is_left_and_no_more(
    tokens: bool, left: int, house: Any
) -> None:
    """Of either budget. Where that is no answer, what was said is it, and no model is asked."""
    async with house(CUT, [Text(REST), Stop("length")]) as made:
        first = await ask(made.process())
        took_in, took_out = estimate(made.plays.asked[0], FIRST)
        asked = estimate_prompt_tokens(Prompt("go", made.plays.asked[0].passages, so_far=FIRST))
        made.budget = (
            Budget(tokens=took_in + took_out + asked + left)
            if tokens
            else Budget(usd=dollars(took_in + asked, took_out + left) + 1e-9)
        )
        rest = await go_on(made.process(), first)
        result = rest[-1][1]["result"]
        assert result["finishReason"] == "budget"
        if left < 16:
            assert result["answer"] == FIRST
            assert result["usage"] == usage_on_the_wire(took_in, took_out)
            assert len(made.plays.asked) == 1
        else:
            assert result["answer"] == FIRST + REST
            assert [prompt.max_tokens for prompt in made.plays.asked] == [1024, left]


async def test_an_answer_is_as_long_as_it_may_be_over_all_invocations(house: Any) -> None:
    """`max_tokens` is the answer's; at its end the answer is cut, and that is no budget's doing."""
    async with house(CUT, [Text(REST), "hang"]) as made:
        first = await ask(made.process())
        second = await go_on(made.process(), first, REST, pause)
        assert made.plays.asked[1].max_tokens == 1024 - estimate_tokens(FIRST)
        app = made.process()
        object.__setattr__(app.settings, "chat_tokens", estimate_tokens(FIRST + REST) + 3)
        result = (await go_on(app, second))[-1][1]["result"]
        assert (result["answer"], result["finishReason"]) == (FIRST + REST, "length")
        assert len(made.plays.asked) == 2


async def test_every_invocation_adds_to_the_bill(house: Any) -> None:
    """Three of them; none is counted twice, and each pays for the words it was sent."""
    async with house(CUT, [Text(REST), "hang"], WELL) as made:
        first = await ask(made.process())
        second = await go_on(made.process(), first, REST, pause)
        asked = estimate_prompt_tokens(
            Prompt("go", made.plays.asked[0].passages, so_far=FIRST + REST)
        )
        one, two = estimate(made.plays.asked[0], FIRST), estimate(made.plays.asked[1], REST)
        made.budget = Budget(tokens=sum(one) + sum(two) + asked + 77)
        third = await go_on(made.process(), second)
        assert made.plays.asked[2].max_tokens == 77
        both = (one[0] + two[0], one[1] + two[1])
        whole = usage_on_the_wire(both[0] + 300, both[1] + 40)
        bills = [usage_on_the_wire(*one), usage_on_the_wire(*both), whole]
        assert usages(second) + usages(third) == bills
        assert third[-1][1]["result"]["usage"] == whole


async def test_a_call_that_said_nothing_was_asked_all_the_same(house: Any) -> None:
    """A model that was still thinking when the time was over had read the question."""
    async with house(["hang"], WELL) as made:
        first = await ask(made.process(), "")
        result = (await go_on(made.process(), first))[-1][1]["result"]
        took_in, _ = estimate(made.plays.asked[0])
        assert result["usage"] == usage_on_the_wire(took_in + 300, 40)


async def test_what_it_may_cost_and_was_spent_before_a_word_is_an_error(house: Any) -> None:
    """A final holds an answer; there is none."""
    async with house(["hang"], WELL) as made:
        first = await ask(made.process(), "")
        made.budget = Budget(tokens=estimate_prompt_tokens(made.plays.asked[0]) + 20)
        rest = await go_on(made.process(), first)
        assert rest[-1][1]["code"] == "budget_exceeded"
        assert len(made.plays.asked) == 1


@pytest.mark.parametrize(
    "include", [frozenset(), frozenset({"tokens"}), frozenset({"usage"}), frozenset({"sources"})]
)
async def test_what_a_run_was_asked_not_to_say_is_paid_for(include: Any, house: Any) -> None:
    """The log lacks it; the checkpoint has it, and where it belongs."""
    async with house(CUT, WELL) as made:
        first = await ask(made.process(), "", include=include)
        result = (await go_on(made.process(), first))[-1][1]["result"]
        took_in, took_out = estimate(made.plays.asked[0], FIRST)
        assert result["answer"] == FIRST + REST
        assert result["usage"] == usage_on_the_wire(took_in + 300, took_out + 40)


async def test_a_try_that_broke_off_leaves_less_for_the_next(house: Any) -> None:
    """In one invocation; the bill has both."""
    asked = estimate_prompt_tokens(Prompt("go", Documents().passages))
    broken: Steps = [make_chat_error("provider_truncated")]
    cut: Steps = [Text(REST), ModelUsage(30, 40, None), Stop("length")]
    async with house(broken, cut, tokens=2 * asked + 100) as made:
        result = (await ask(made.process(), then=None))[-1][1]["result"]
        assert [prompt.max_tokens for prompt in made.plays.asked] == [100 + asked, 100]
        assert (result["answer"], result["finishReason"]) == (REST, "budget")
        assert result["usage"] == usage_on_the_wire(asked + 30, 40)


async def test_tries_of_an_earlier_invocation_are_on_the_bill(house: Any) -> None:
    """What they took was told in the log as they failed."""
    async with house([make_chat_error("provider_truncated")], CUT, WELL) as made:
        first = await ask(made.process())
        result = (await go_on(made.process(), first))[-1][1]["result"]
        asked, took_out = estimate(made.plays.asked[0], FIRST)
        assert result["usage"] == usage_on_the_wire(2 * asked + 300, took_out + 40)


async def test_going_on_costs_the_log_one_event_more(house: Any) -> None:
    """However many tokens: what was spent is told once, before the next call."""
    async with house([*[Text("word ")] * 40, "hang"], WELL) as made:
        app = made.process()
        first = await ask(app, "word " * 40)
        run = first[0][0].rpartition("-")[0]
        assert "usage" not in await kinds(app.log, run)
        await go_on(made.process(), first)
        assert (await kinds(app.log, run)).count("usage") == 2
