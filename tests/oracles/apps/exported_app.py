"""The application of `sse_app` as the one object for every host."""

from sse_app import app

from services.lambda_runtime import export_handler

handler = export_handler(app)
