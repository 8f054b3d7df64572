"""Flask through a2wsgi: a WSGI application in threads, streaming from a sync generator."""

import time
from collections.abc import Iterator

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, request

flask = Flask(__name__)


@flask.get("/stream")
def stream() -> Response:
    def parts() -> Iterator[str]:
        for number in range(3):
            yield f"data: {number}\n\n"
            time.sleep(0.01)

    return Response(parts(), content_type="text/event-stream")


@flask.post("/form")
def form() -> str:
    return f"{request.form['a']}|{request.args.getlist('b')}"


app = WSGIMiddleware(flask)
