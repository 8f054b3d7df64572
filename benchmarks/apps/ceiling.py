"""What the emulator can carry at most: a runtime that makes nothing and sends 64 KiB at a time."""

import os
import socket
from urllib.parse import urlsplit

from benchmarks.apps.sources import CHUNK, EVENT

VERSION = "/2018-06-01/runtime/invocation"
PRELUDE = b'{"statusCode":200,"headers":{"content-type":"text/event-stream"}}' + bytes(8)


def main() -> None:
    """Answer every invocation with what its query asks for."""
    address = urlsplit("//" + os.environ["AWS_LAMBDA_RUNTIME_API"])
    assert address.hostname is not None
    assert address.port is not None
    target = (address.hostname, address.port)
    with socket.create_connection(target) as line:
        while True:
            line.sendall(b"GET %b/next HTTP/1.1\r\nHost: localhost\r\n\r\n" % VERSION.encode())
            head, payload = _message(line)
            name = b"lambda-runtime-aws-request-id: "
            request = next(text for text in head.split(b"\r\n") if text.lower().startswith(name))
            count = int(payload.partition(b'"count": "')[2].partition(b'"')[0] or b"1")
            frame = CHUNK if b'/chunks"' in payload else EVENT
            with socket.create_connection(target) as post:
                _post(post, request[len(name) :], frame, count)


def _post(post: socket.socket, request: bytes, frame: bytes, count: int) -> None:
    post.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    post.sendall(
        b"POST %b/%b/response HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/vnd.awslambda.http-integration-response\r\n"
        b"Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n%x\r\n%b\r\n"
        % (VERSION.encode(), request, len(PRELUDE), PRELUDE)
    )
    at_once = max(1, 65536 // len(frame))
    whole = frame * at_once
    for start in range(0, count, at_once):
        data = whole if start + at_once <= count else frame * (count - start)
        post.sendall(b"%x\r\n%b\r\n" % (len(data), data))
    post.sendall(b"0\r\n\r\n")
    _message(post)


def _message(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _read_request(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += _read_request(connection)
    return head, body


def _read_request(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise SystemExit
    return data


if __name__ == "__main__":
    main()
