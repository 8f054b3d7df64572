"""`/api/chat/runs/{run}`: look at a run, read it from anywhere, stop it.

And `/api/sources/{id}`: open the document that a source of an answer stands in.
"""

from services.lambda_runtime import export_handler
from services.streaming import http_app, run_routes, shut_down, source_routes

app = http_app({**run_routes("/chat"), **source_routes("/sources")})
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
