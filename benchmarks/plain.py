"""A Runtime API reduced to what costs no time: blocking sockets, one invocation at a time.

For the figures in which the emulator would be the larger part: first byte, yield to byte, cold
start, invocations per second. It reads no more of HTTP than it needs and checks nothing.
"""

import json
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import processes
from benchmarks.contenders import Contender
from services.settings import ROOT

VERSION = b"/2018-06-01/runtime/"
ANSWER = b"POST " + VERSION + b"invocation/"
QUESTION = b"GET " + VERSION + b"invocation/next"
ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
REGISTERED = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: x\r\nContent-Length: 2\r\n\r\n{}"
PATIENCE = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for one invocation: the moments on `perf_counter_ns`, and the lags of events.

    `lags` are microseconds from each yield in the handler to its bytes here.
    """

    asked: int
    first: int
    lags: tuple[float, ...]


class PlainAPI:
    """The socket a runtime finds at AWS_LAMBDA_RUNTIME_API. `close` when done."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._buffers: dict[socket.socket, bytearray] = {}
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)
        self._by_number: dict[int, socket.socket] = {}
        self._waiting: socket.socket | None = None
        self._number = 0

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Hang up on every client."""
        for connection in (*self._buffers, self._listener):
            connection.close()
        self._poll.close()

    def wait_for_next(self) -> None:
        """Until the runtime asks for an invocation. Answers extensions on the way."""
        while self._waiting is None:
            for connection in self._readable():
                self._serve(connection)

    def invoke(self, payload: bytes) -> Answer:
        """Deliver one invocation and take its answer to the end."""
        self.wait_for_next()
        line, self._waiting = self._waiting, None
        assert line is not None
        self._number += 1
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Lambda-Runtime-Aws-Request-Id: n-%d\r\nLambda-Runtime-Deadline-Ms: %d\r\n"
            b"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:1:function:bench\r\n"
            b"Content-Length: %d\r\n\r\n" % (self._number, (time.time() + 300) * 1000, len(payload))
        )
        asked = time.perf_counter_ns()
        line.sendall(head + payload)
        return self._answer(asked)

    def _answer(self, asked: int) -> Answer:
        first = 0
        lags: list[float] = []
        while True:
            for connection in self._readable():
                now, clock = time.perf_counter_ns(), time.monotonic_ns()
                buffer = self._buffers[connection]
                if not buffer.startswith(ANSWER):
                    self._serve(connection)
                    continue
                if not first and b"data: " in buffer:
                    first = now
                if b" w\n\n" in buffer:
                    lags += _lags(buffer, clock)
                if _complete(buffer):
                    buffer.clear()
                    connection.sendall(ACCEPTED)
                    return Answer(asked, first, tuple(lags))

    def _readable(self) -> Iterator[socket.socket]:
        """Connections with news, which is in their buffers already."""
        found = self._poll.poll(PATIENCE)
        if not found:
            raise TimeoutError("The runtime says nothing.")
        for number, _ in found:
            if number == self._listener.fileno():
                self._accept()  # it may have been opened before there is anything to say
                continue
            connection = self._by_number[number]
            data = connection.recv(1 << 16)
            if not data:
                self._poll.unregister(connection)
                del self._buffers[connection], self._by_number[number]
                connection.close()
                continue
            self._buffers[connection] += data
            yield connection

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffers[connection] = bytearray()
        self._by_number[connection.fileno()] = connection
        self._poll.register(connection, select.EPOLLIN)

    def _serve(self, connection: socket.socket) -> None:
        """Anything but an answer: a poll, or an extension's registration."""
        buffer = self._buffers[connection]
        if not buffer.startswith((b"GET ", b"POST ")) or b"\r\n\r\n" not in buffer:
            return
        if buffer.startswith(QUESTION):
            self._waiting = connection
        elif b"/extension/register" in buffer:
            connection.sendall(REGISTERED)
        buffer.clear()


def _complete(buffer: bytearray) -> bool:
    if buffer.endswith(b"\r\n0\r\n\r\n"):
        return True  # no handler under test ends with these bytes itself
    head, blank, body = buffer.partition(b"\r\n\r\n")
    if not blank or b"chunked" in head.lower():
        return False
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or b"0")


def _lags(buffer: bytearray, now: int) -> Iterator[float]:
    """Every whole paced event in `buffer`, which is marked as read."""
    while (start := buffer.find(b"data: ")) >= 0 and (end := buffer.find(b" w\n\n", start)) >= 0:
        yield (now - int(buffer[start:end].split()[2])) / 1000
        buffer[start : start + 5] = b"seen:"


def payload(path: str, **query: object) -> bytes:
    """A function URL's GET."""
    asked = {name: str(value) for name, value in query.items()}
    return json.dumps(
        {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "&".join(f"{name}={value}" for name, value in asked.items()),
            "queryStringParameters": asked,
            "headers": {"host": "bench.lambda-url.eu-west-1.on.aws", "accept": "*/*"},
            "requestContext": {
                "domainName": "bench.lambda-url.eu-west-1.on.aws",
                "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1"},
                "stage": "$default",
                "routeKey": "$default",
            },
            "isBase64Encoded": False,
        }
    ).encode()


@contextmanager
def start_contender(contender: Contender) -> Iterator[tuple[PlainAPI, int, float]]:
    """A contender that has asked for its first invocation.

    Gives the API, the process group, and the milliseconds from the start of the process.
    """
    api = PlainAPI()
    environ = {
        "PATH": os.environ["PATH"],
        "LAMBDA_TASK_ROOT": str(ROOT),
        "PYTHONPATH": str(ROOT),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "AWS_LAMBDA_LOG_LEVEL": "FATAL",
        "AWS_REGION": "eu-west-1",
        **contender.environ,
    }
    began = time.perf_counter()
    process = processes.spawn(contender.command, environ)
    try:
        api.wait_for_next()
        yield api, process.pid, (time.perf_counter() - began) * 1000
    finally:
        processes.end(process.pid)
        process.wait()
        api.close()
