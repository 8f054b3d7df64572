"""`/api/health`: is this function able to answer? Calls no model."""

from starlette.requests import Request
from starlette.responses import Response

from services.lambda_runtime import export_handler
from services.streaming import handle_health, http_app


async def health(_request: Request) -> Response:
    """200 when every part opens, 503 when one does not; the log says which and why."""
    return await handle_health()


app = http_app({"/health": {"GET": health}})
handler = export_handler(app, strict_cleanup=True)
