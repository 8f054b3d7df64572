"""A fake AWS for what is kept: DynamoDB, S3 and S3 Vectors, by moto, as a server on this machine.

    python -m fakes.aws --port 9003

What moto lets through and the services refuse is refused here, and what it lacks is served here:
QueryVectors, and pages of ListVectors. Calls are carried out one at a time, since moto checks a
condition and writes in two steps. Its memory is the process's: servers in one process share it.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from fakes import s3_vectors
from fakes.command import run
from fakes.hosts import REFUSAL, is_for_programs
from fakes.s3_vectors import InvalidError

PUTS_IN_A_BATCH = 25


@dataclass(eq=False)
class Aws:
    """A running fake. `calls` has each call's name, in order: "PutVectors", "PUT", "PutItem"."""

    port: int
    calls: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


StartResponse = Callable[..., Any]


class _Moto(DomainDispatcherApplication):
    """moto looks through its own folder twice for each request, to find whose host it names.

    What it found for a host does not change, and was a quarter of the time of an answer.
    """

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._found: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service that answers for `host`."""
        if host not in self._found:
            self._found[host] = super().get_backend_for_host(host)
        return self._found[host]


class _Application:
    def __init__(self) -> None:
        self.fake: Aws | None = None
        self._moto: Any = _Moto()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        hosts, page = [environ.get("HTTP_HOST", "")], environ.get("HTTP_ORIGIN")
        if not is_for_programs(hosts, page, environ.get("HTTP_SEC_FETCH_SITE")):
            start("403 Forbidden", [("Content-Type", "text/plain"), ("Connection", "close")])
            return [REFUSAL.encode()]
        body = _read(environ)
        name = _name(environ)
        with self._lock:
            if self.fake is not None:
                self.fake.calls.append(name)
            try:
                _guard(name, body)
                answer = s3_vectors.answer(name, body)
            except InvalidError as error:
                return _refuse(start, str(error))
            if answer is not None:
                return _answer(start, "200 OK", answer)
            found: Iterable[bytes] = self._moto(environ, start)
            return found


def _read(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or 0
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    return body


def _name(environ: dict[str, Any]) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return str(target).partition(".")[2]
    if "/s3vectors/" in environ.get("HTTP_AUTHORIZATION", ""):
        return str(environ["PATH_INFO"]).strip("/")
    return str(environ["REQUEST_METHOD"])


def _guard(name: str, body: bytes) -> None:
    if name == "BatchWriteItem":
        requests = json.loads(body)["RequestItems"].values()
        if sum(len(table) for table in requests) > PUTS_IN_A_BATCH:
            raise InvalidError(f"Member must have length less than or equal to {PUTS_IN_A_BATCH}")


def _refuse(start: StartResponse, message: str) -> Iterable[bytes]:
    # DynamoDB speaks JSON with a type in it, S3 Vectors with the type in a header.
    kind = "ValidationException"
    value = {"__type": f"com.amazon.coral.validate#{kind}", "message": message}
    return _answer(start, "400 Bad Request", value, ("x-amzn-ErrorType", kind))


def _answer(
    start: StartResponse, status: str, value: Any, *headers: tuple[str, str]
) -> Iterable[bytes]:
    raw = json.dumps(value).encode()
    start(
        status,
        [("Content-Type", "application/json"), ("Content-Length", str(len(raw))), *headers],
    )
    return [raw]


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # With Nagle's algorithm a kept connection would add 40 ms to every answer.
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def aws(port: int = 0) -> Iterator[Aws]:
    """A fake for as long as the block lasts; port 0 takes a free one."""
    application = _Application()
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_Silent)
    application.fake = Aws(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield application.fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    run("AWS (DynamoDB, S3, S3 Vectors)", "AWS_ENDPOINT_URL={url}", aws)
