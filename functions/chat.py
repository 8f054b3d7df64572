"""`/api/chat` and `/.netlify/functions/chat`: ask a question, or go on reading an answer."""

from starlette.requests import Request
from starlette.responses import Response

from functions import runs
from services.lambda_runtime import export_handler
from services.streaming import (
    handle_request,
    handle_resume,
    handle_streaming_request,
    http_app,
    read_cursor,
    read_dialect,
    read_owner,
    read_question,
    read_reader,
    shut_down,
)


async def chat(request: Request) -> Response:
    """A cursor resumes its run and never starts another; anything else is a question."""
    owner = read_owner(request)
    if (cursor := read_cursor(request)) is not None:
        return await handle_resume(
            cursor,
            owner=owner,
            dialect=read_dialect(request),
            reader=await read_reader(request),
        )
    question = await read_question(request)
    if question.streaming:
        return await handle_streaming_request(question)
    return await handle_request(question)


# The runs are here too: a function URL, and `/.netlify/functions/chat/…`, reach this one only.
app = http_app({"/chat": {"GET": chat, "POST": chat}, **runs.ROUTES})
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
