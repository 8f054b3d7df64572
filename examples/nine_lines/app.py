from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response

from services.streaming import Question, handle_streaming_request, http_app, read_question


async def echo(question: Question) -> AsyncGenerator[str, None]:
    for word in question.query.split():
        yield f"{word} "


async def endpoint(request: Request) -> Response:
    return await handle_streaming_request(await read_question(request), producer=echo)


app = http_app({"/echo": {"POST": endpoint}})
