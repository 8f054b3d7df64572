"""Is this function able to answer? Opens what an answer needs and asks no model."""

import inspect
import logging
from collections.abc import Callable

from starlette.responses import Response

from ..errors import RiverrunError
from .app import App, default_app
from .http.responses import JSONAnswer

logger = logging.getLogger("riverrun.health")

# What opens badly now may open after a deploy; nothing knows when, so not too soon, in seconds.
RETRY_AFTER = "10"


async def handle_health(*, app: App | None = None) -> Response:
    """200 `{"status": "ok", "checks": {...}}`, or 503 with the parts that do not open.

    The answer names parts, never paths or causes: those are in the log.
    """
    app = app or default_app()

    async def context() -> None:
        # A distant index opens without a look at it; whether it is there is asked now.
        await app.context.check()

    parts: dict[str, Callable[[], object]] = {
        "runs": lambda: app.log,
        "context": context,
        "chat": lambda: app.chat,
    }
    checks = {name: await _check_part(name, part) for name, part in parts.items()}
    if all(state == "ok" for state in checks.values()):
        return JSONAnswer({"status": "ok", "checks": checks})
    unavailable = {"status": "unavailable", "checks": checks}
    return JSONAnswer(unavailable, 503, {"Retry-After": RETRY_AFTER})


async def _check_part(name: str, part: Callable[[], object]) -> str:
    try:
        opened = part()
        if inspect.isawaitable(opened):
            await opened
    except RiverrunError as error:
        logger.error("%s is not ready: %s", name, error)
    except Exception:
        logger.exception("%s is not ready.", name)
    else:
        return "ok"
    return "unavailable"
