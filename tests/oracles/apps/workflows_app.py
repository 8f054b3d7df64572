"""LlamaIndex's workflow server: a run that goes on after the request that began it."""

import asyncio

from llama_agents.server import WorkflowServer
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class Progress(Event):
    """One step of the way."""

    number: int


class Count(Workflow):
    """Counts to twelve, for longer than the runtime waits at the end of a request."""

    @step
    async def count(self, ctx: Context, ev: StartEvent) -> StopEvent:  # noqa: ARG002 (its type chooses the step)
        for number in range(12):
            await asyncio.sleep(0.1)
            ctx.write_event_to_stream(Progress(number=number))
        return StopEvent(result="counted")


server = WorkflowServer()
server.add_workflow("count", Count(timeout=20))
app = server.app
