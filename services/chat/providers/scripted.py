"""The scripted provider: answers that were written beforehand, for tests, demos and faults.

It plays a `Script` and reads nothing but the question. It is the one provider that can be made
slow, and made to fail, to hang and to break off.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import assert_never

import anyio
import anyio.lowlevel

from ...progress import Report, no_report
from ..provider import ChatError, Piece, Prompt, Restart, Stop, Text
from ..provider_errors import make_chat_error
from .script import (
    BreakOffStep,
    FailStep,
    HangStep,
    SayStep,
    Script,
    ScriptStep,
    SpendStep,
    WaitStep,
)


@dataclass(frozen=True, slots=True)
class ScriptedProvider:
    """Plays a script. `sleep` takes seconds and must be cancellable."""

    script: Script
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep

    @property
    def model(self) -> str:
        """The name under which a result reports who answered."""
        return "scripted"

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - a provider takes it; a script has nothing to say
    ) -> AsyncGenerator[Piece, None]:
        """Play the first entry whose `when` is in the question, from its first step.

        Steps before the end of `so_far` were played already; they are skipped, waits too.
        Ends with ``Stop("stop")`` unless the script says otherwise. Raises `ChatError` where
        the script says so, and ``provider_error`` when no entry matches.
        """
        steps = self.script.find_steps(prompt.question)
        if steps is None:
            raise ChatError(
                "The script has no answer for this question.",
                hint='Add an entry for it to the script, or one with "when": "*".',
            )
        so_far = prompt.so_far
        said = "".join(step.text * step.times for step in steps if isinstance(step, SayStep))
        if not said.startswith(so_far):
            so_far = ""
            yield Restart("The script has changed.")
        for step in _skip_played_steps(len(so_far), steps):
            match step:
                case SayStep(text, times):
                    for _ in range(times):
                        await anyio.lowlevel.checkpoint()
                        yield Text(text)
                case SpendStep(usage):
                    yield usage
                case Stop():
                    yield step
                    return
                case BreakOffStep():
                    return
                case _:
                    await self._perform(step)
        yield Stop("stop")

    async def _perform(self, step: WaitStep | HangStep | FailStep) -> None:
        match step:
            case WaitStep(seconds):
                await self.sleep(seconds)
            case HangStep():
                await anyio.sleep_forever()
            case FailStep(name, retry_after_ms):
                raise make_chat_error(name, retry_after_ms=retry_after_ms)
            case _:
                assert_never(step)


def _skip_played_steps(said: int, steps: tuple[ScriptStep, ...]) -> Iterator[ScriptStep]:
    """Yield the steps that remain after `said` characters of text."""
    for step in steps:
        if not said:
            yield step
        elif isinstance(step, SayStep):
            whole, part = divmod(said, len(step.text)) if step.text else (step.times, 0)
            whole = min(whole, step.times)
            said = max(0, said - len(step.text) * step.times)
            if whole < step.times:
                yield SayStep(step.text[part:])
                yield SayStep(step.text, step.times - whole - 1)
