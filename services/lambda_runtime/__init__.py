"""A Lambda runtime for Python that streams: any ASGI application, one process, no layer.

``python -m services.lambda_runtime`` replaces the stock runtime's start command (`bootstrap`
at the project root does it) and serves what ``_HANDLER`` names. `export_handler` makes one
object that streams here, answers buffered under the stock runtime, and is an ASGI application
anywhere. `current` is the invocation a task works for.

Standard library only, except for buffered answers, which Mangum words. It refuses to know
what the application does. docs/lambda-runtime.md is the manual.
"""

from .handler import Handler, export_handler

__all__ = ["Handler", "export_handler"]
