"""`/api/chat` and `/.netlify/functions/chat`: ask a question, or go on reading an answer."""

from services.lambda_runtime import export_handler
from services.streaming import answer_routes, http_app, run_routes, shut_down

# The runs are here too: a function URL, and `/.netlify/functions/chat/…`, reach this one only.
app = http_app({**answer_routes("/chat"), **run_routes("/chat")})
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
