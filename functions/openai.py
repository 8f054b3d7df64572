"""`/v1/…`: Riverrun for the clients of OpenAI's API, Chat Completions and Responses."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.lambda_runtime import export_handler
from services.streaming import (
    Cursor,
    follow_run,
    handle_question,
    handle_response,
    handle_resume,
    handle_stop,
    http_app,
    read_dialect_question,
    read_owner,
    read_reader,
    read_response_id,
    read_starting_after,
    shut_down,
)

CHAT, RESPONSES = "openai_chat", "openai_responses"


async def complete_chat(request: Request) -> Response:
    """Answer the last message of a conversation."""
    question, _ = await read_dialect_question(request, CHAT)
    return await handle_question(question)


async def create_response(request: Request) -> Response:
    """Answer an input, after the conversation of `previous_response_id` where it names one."""
    question, more = await read_dialect_question(request, RESPONSES)
    if more["previous"]:
        question = await follow_run(question, more["previous"])
    return await handle_question(question)


async def retrieve_response(request: Request) -> Response:
    """Return a response, or with `stream=true` its events after `starting_after`."""
    owner, run = await read_owner(request), read_response_id(request)
    if request.query_params.get("stream") != "true":
        return await handle_response(run, RESPONSES, owner=owner)
    return await handle_resume(
        Cursor(run, 0),
        owner=owner,
        dialect=RESPONSES,
        options={"starting_after": read_starting_after(request)},
        reader=await read_reader(request),
        takes_over=True,
    )


async def cancel_response(request: Request) -> Response:
    """Stop a response, and return it."""
    owner, run = await read_owner(request), read_response_id(request)
    stopped = await handle_stop(run, owner=owner)
    return (
        stopped
        if stopped.status_code >= 400
        else await handle_response(run, RESPONSES, owner=owner)
    )


MODEL = {"id": "riverrun", "object": "model", "created": 1767225600, "owned_by": "riverrun"}


async def list_models(request: Request) -> Response:
    """Name the one model there is: this service."""
    await read_owner(request)
    return JSONResponse({"object": "list", "data": [MODEL]})


async def retrieve_model(request: Request) -> Response:
    """Describe this service by any name: that is what it answers to."""
    await read_owner(request)
    return JSONResponse({**MODEL, "id": request.path_params["model"]})


ROUTES = {
    "/v1/chat/completions": {"POST": complete_chat},
    "/v1/responses": {"POST": create_response},
    "/v1/responses/{response}": {"GET": retrieve_response},
    "/v1/responses/{response}/cancel": {"POST": cancel_response},
    "/v1/models": {"GET": list_models},
    "/v1/models/{model:path}": {"GET": retrieve_model},
}

# Its clients are given the address up to /v1, whatever stands before it.
app = http_app(ROUTES, bases=("", "/api", "/.netlify/functions/openai"), dialect=CHAT)
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
