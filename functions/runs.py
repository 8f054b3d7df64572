"""`/api/chat/runs/{run}`: look at a run, read it from anywhere, stop it."""

from services.lambda_runtime import export_handler
from services.streaming import http_app, run_routes, shut_down

app = http_app(run_routes("/chat"))
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
