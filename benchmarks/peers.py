"""The same stream of `EVENTS` tokens from us and from the usual stack, to be compared.

Run by uvicorn: `benchmarks.peers:ours` and `benchmarks.peers:sse_starlette`.
"""

from collections.abc import AsyncGenerator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.streaming import Question, handle_streaming_request, http_app, read_question

EVENTS = 100_000
RUN = "0" * 32


async def _words(_question: Question) -> AsyncGenerator[str, None]:
    for _ in range(EVENTS):
        yield "word "


async def _ours(request: Request) -> Response:
    return await handle_streaming_request(await read_question(request), producer=_words)


ours = http_app({"/chat": {"POST": _ours}})


async def _events() -> AsyncGenerator[dict[str, str], None]:
    for seq in range(1, EVENTS + 1):
        yield {"id": f"{RUN}-{seq}", "data": '{"type":"token","text":"word "}'}


async def _theirs(_request: Request) -> Response:
    return EventSourceResponse(_events(), sep="\n")


sse_starlette = Starlette(routes=[Route("/api/chat", _theirs, methods=["POST"])])
