"""The scripted provider: answers that were written beforehand, for tests, demos and faults.

It plays a `Script` and looks at nothing but the question. It is the one provider that can
be told to be slow, to fail, to hang and to break off.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import assert_never

import anyio
import anyio.lowlevel

from ...progress import Report, no_report
from ..provider import Anew, ChatError, Piece, Prompt, Stop, Text
from ..provider_errors import chat_error
from .script import BreakOff, Fail, Hang, Say, Script, Spend, Step, Wait


@dataclass(frozen=True, slots=True)
class Scripted:
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

        What comes before the end of `so_far` was played already; it is passed over, waits and all.
        Ends with ``Stop("stop")`` unless the script says otherwise. Raises `ChatError` where
        the script says so, and ``provider_error`` when no entry matches.
        """
        steps = self.script.steps_for(prompt.question)
        if steps is None:
            raise ChatError(
                "The script has no answer for this question.",
                hint='Add an entry for it to the script, or one with "when": "*".',
            )
        so_far = prompt.so_far
        said = "".join(step.text * step.times for step in steps if isinstance(step, Say))
        if not said.startswith(so_far):
            so_far = ""
            yield Anew("The script has changed.")
        for step in _after(len(so_far), steps):
            match step:
                case Say(text, times):
                    for _ in range(times):
                        await anyio.lowlevel.checkpoint()
                        yield Text(text)
                case Spend(usage):
                    yield usage
                case Stop():
                    yield step
                    return
                case BreakOff():
                    return
                case _:
                    await self._undergo(step)
        yield Stop("stop")

    async def _undergo(self, step: Wait | Hang | Fail) -> None:
        match step:
            case Wait(seconds):
                await self.sleep(seconds)
            case Hang():
                await anyio.sleep_forever()
            case Fail(name, retry_after_ms):
                raise chat_error(name, retry_after_ms=retry_after_ms)
            case _:
                assert_never(step)


def _after(said: int, steps: tuple[Step, ...]) -> Iterator[Step]:
    """The steps that are left when `said` characters have been."""
    for step in steps:
        if not said:
            yield step
        elif isinstance(step, Say):
            whole, part = divmod(said, len(step.text)) if step.text else (step.times, 0)
            whole = min(whole, step.times)
            said = max(0, said - len(step.text) * step.times)
            if whole < step.times:
                yield Say(step.text[part:])
                yield Say(step.text, step.times - whole - 1)
