"""`/api/chat` and `/.netlify/functions/chat`: ask a question, or go on reading an answer.

And `/api/sources/{id}`: open the document that a source of an answer stands in;
`/api/sources/samples`: what to ask one's own documents.
"""

from services.lambda_runtime import export_handler
from services.streaming import answer_routes, http_app, run_routes, shut_down, source_routes

# The runs are here too: a function URL, and `/.netlify/functions/chat/…`, reach this one only.
# The sources as well: this one may read the index.
app = http_app({**answer_routes("/chat"), **run_routes("/chat"), **source_routes("/sources")})
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
