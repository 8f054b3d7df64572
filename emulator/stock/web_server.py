"""The web server of a Web Function: what AWS brings, as far as it is documented.

Loads `AWS_LAMBDA_PYTHON_ENTRYPOINT` (`main:app`), tells ASGI from WSGI, and serves it with uvicorn
on the socket it was given. Which server AWS runs is not known.
"""

import importlib
import inspect
import os
import socket
import sys
from pathlib import Path
from typing import Any, Literal

import uvicorn


def run(descriptor: int) -> None:
    """Serve on the socket of that descriptor until SIGTERM."""
    sys.path.insert(0, str(Path.cwd()))
    kind, name = split_entry(os.environ.get("AWS_LAMBDA_PYTHON_ENTRYPOINT") or "main:app")
    module, _, attribute = name.partition(":")
    app = getattr(importlib.import_module(module), attribute or "app")
    config = uvicorn.Config(
        app,
        interface=kind or tell_interface(app),
        access_log=False,
        log_level="warning",
        log_config=None,
        proxy_headers=False,
        lifespan=os.environ.get("EMULATOR_LIFESPAN", "auto"),  # type: ignore[arg-type]  # checked
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


def split_entry(entry: str) -> tuple[Literal["asgi3", "wsgi"] | None, str]:
    """The interface that an entry forces, and its `module:callable`."""
    prefix, _, rest = entry.partition(":")
    if prefix in ("asgi", "wsgi") and ":" in rest:
        return ("asgi3" if prefix == "asgi" else "wsgi"), rest
    return None, entry


def tell_interface(app: Any) -> Literal["asgi3", "wsgi"]:
    """ASGI for what is called with a coroutine function, WSGI for the rest."""
    call = app if inspect.isfunction(app) else type(app).__call__
    return "asgi3" if inspect.iscoroutinefunction(call) else "wsgi"


if __name__ == "__main__":
    run(int(sys.argv[1]))
