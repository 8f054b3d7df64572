"""`/api/ui/chat`: Riverrun for `useChat` and the other front ends of the AI SDK."""

from starlette.requests import Request
from starlette.responses import Response

from services.lambda_runtime import export_handler
from services.streaming import (
    Cursor,
    find_chat_run,
    handle_chat_stream,
    handle_question,
    handle_resume,
    handle_stop,
    http_app,
    read_dialect_question,
    read_owner,
    read_reader,
    read_sender,
    remember_chat,
    shut_down,
)

DIALECT = "ai_sdk"

# assistant-ui keeps it while a page is reloaded, whose chat has another id then.
STREAM_ID = "X-Resumable-Stream-Id"


async def chat(request: Request) -> Response:
    """Answer the last message of a chat, and keep which run the chat is at."""
    question, more = await read_dialect_question(request, DIALECT)
    response = await handle_question(question)
    if run := response.headers.get("x-run-id"):
        await remember_chat(more["chat"], run, owner=question.owner, sender=question.principal)
        response.headers[STREAM_ID] = run
    return response


async def stream(request: Request) -> Response:
    """Send the answer that a chat is at from its beginning; 204 when it is over."""
    return await handle_chat_stream(
        request.path_params["chat"],
        DIALECT,
        owner=await read_owner(request),
        reader=await read_reader(request),
        sender=read_sender(request),
    )


async def run_stream(request: Request) -> Response:
    """Send the answer of a run from its beginning, also when it is over."""
    return await handle_resume(
        Cursor(request.path_params["run"], 0),
        owner=await read_owner(request),
        dialect=DIALECT,
        reader=await read_reader(request),
        takes_over=True,
    )


async def stop(request: Request) -> Response:
    """Stop the answer that a chat is at."""
    owner = await read_owner(request)
    run = await find_chat_run(request.path_params["chat"], owner=owner, sender=read_sender(request))
    return await handle_stop(run, owner=owner)


ROUTES = {
    "/ui/chat": {"POST": chat},
    "/ui/chat/{chat:path}/stream": {"GET": stream},
    "/ui/chat/{chat:path}/stop": {"POST": stop},
    "/ui/runs/{run}/stream": {"GET": run_stream},
}

app = http_app(ROUTES, dialect=DIALECT)
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
