"""A streaming runtime in one file, for the emulator's tests: it polls and posts on sockets.

It does what the payload says: `{"say": ["a", "b"]}`, or the same as the JSON in `?do=` of an
HTTP payload. It shares no code with the product or the emulator.
"""

import base64
import http.client
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from email.message import Message
from typing import Any
from urllib.parse import parse_qs

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime/"
HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"


def main() -> None:
    if os.environ.get("_HANDLER") == "broken.init":
        post_simple(
            "init/error",
            {"errorMessage": "no such module", "errorType": "X"},
            {"Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError"},
        )
        sys.exit(1)
    if os.environ.get("_HANDLER") == "slow.init":
        time.sleep(float(os.environ["INIT_SECONDS"]))
    log("init", os.getpid())
    polls = int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))
    threads = [threading.Thread(target=poll, daemon=True) for _ in range(polls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def poll() -> None:
    host, port = API.split(":")
    connection = http.client.HTTPConnection(host, int(port))
    while True:
        try:
            connection.request("GET", BASE + "invocation/next")
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(0.05)
            continue
        if response.status != 200:
            log("next said", response.status)
            time.sleep(0.05)
            continue
        try:
            work(response.headers, json.loads(body))
        except OSError as error:
            log("post broke:", type(error).__name__)


def work(headers: Message, payload: Any) -> None:
    order, http_call = order_in(payload)
    for line in order.get("log", []):
        log(line)
    if order.get("exit") == "before":
        os._exit(7)
    time.sleep(order.get("hang", 0))
    content = b""
    if "echo" in order:
        seen = {"payload": payload, "headers": dict(headers), "environ": dict(os.environ)}
        content = json.dumps(seen).encode()
    if "fail" in order:
        error = {"errorMessage": order["fail"], "errorType": "Boom", "stackTrace": []}
        kind = {"Lambda-Runtime-Function-Error-Type": "Function.Boom"}
        post(headers, "error", json.dumps(error).encode(), kind)
    elif "whole" in order:
        body = content or json.dumps(order["whole"]).encode()
        post(headers, "response", body, {"Content-Type": "application/json"})
    else:
        stream(headers, order, content, order.get("prelude", http_call))
        time.sleep(order.get("linger", 0))
        if "linger" in order:
            log("lingered")


def order_in(payload: Any) -> tuple[dict[str, Any], bool]:
    """What to do, and whether an HTTP caller asks for it."""
    if not (isinstance(payload, dict) and "requestContext" in payload):
        return (payload if isinstance(payload, dict) else {}), False
    query = payload.get("rawQueryString")
    if query is None:
        given = payload["queryStringParameters"] or {}
        return json.loads(given.get("do", "{}")), True
    return json.loads(parse_qs(query).get("do", ["{}"])[0]), True


def stream(headers: Message, order: dict[str, Any], content: bytes, prelude: Any) -> None:
    socket_ = begin(headers, order, prelude)
    if prelude:
        send(socket_, start_of(order, prelude))
    send(socket_, content)
    for data in say(order):
        send(socket_, data)
    if order.get("exit") == "after":
        os._exit(7)
    if order.get("cut"):
        socket_.close()
        return
    socket_.sendall(end_of(order))
    answer = socket_.recv(65536)
    socket_.close()
    if order.get("report"):
        log("stream said", answer.split(b" ")[1].decode())


def begin(headers: Message, order: dict[str, Any], prelude: Any) -> socket.socket:
    """A connection of its own, with the head of the post on it."""
    host, port = API.split(":")
    socket_ = socket.create_connection((host, int(port)))
    socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kind = order.get("type", HTTP_INTEGRATION if prelude else "application/octet-stream")
    lines = [
        f"POST {BASE}invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response HTTP/1.1",
        f"Host: {API}",
        f"Content-Type: {kind}",
        "Transfer-Encoding: chunked",
        f"Lambda-Runtime-Function-Response-Mode: {order.get('mode', 'streaming')}",
        f"Lambda-Runtime-Invocation-Id: {headers['Lambda-Runtime-Invocation-Id']}",
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
    ]
    socket_.sendall("\r\n".join([*lines, "", ""]).encode())
    return socket_


def send(socket_: socket.socket, data: bytes) -> None:
    """One chunk; an empty one would end the body."""
    if data:
        socket_.sendall(b"%x\r\n%b\r\n" % (len(data), data))


def start_of(order: dict[str, Any], prelude: Any) -> bytes:
    if "start" in order:
        return bytes(order["start"].encode())
    usual = {"statusCode": 200, "headers": {"content-type": "text/event-stream"}}
    shown = prelude if isinstance(prelude, dict) else usual
    return json.dumps(shown).encode() + b"\0" * 8


def say(order: dict[str, Any]) -> Iterator[bytes]:
    """The body, piece by piece, at the pace and the gate that were asked for."""
    gate = socket.create_connection(("127.0.0.1", order["gate"])) if "gate" in order else None
    for number, text in enumerate(order.get("say", [])):
        if gate and number:
            gate.sendall(b"?")
            gate.recv(1)
        yield text.encode()
        time.sleep(order.get("gap", 0))
    if gate:
        gate.close()
    for number in range(order.get("count", 0)):
        yield b"data: %d\n\n" % number
        time.sleep(order.get("gap", 0))
    block = b"x" * 65536
    for start in range(0, order.get("bytes", 0), len(block)):
        yield block[: order["bytes"] - start]


def end_of(order: dict[str, Any]) -> bytes:
    if "trouble" not in order:
        return b"0\r\n\r\n"
    error = json.dumps({"errorMessage": order["trouble"], "errorType": "Runtime.StreamError"})
    return (
        b"0\r\nLambda-Runtime-Function-Error-Type: Runtime.StreamError\r\n"
        b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(error.encode()) + b"\r\n\r\n"
    )


def post(headers: Message, verb: str, body: bytes, more: dict[str, str]) -> int:
    name = headers["Lambda-Runtime-Aws-Request-Id"]
    more = {"Lambda-Runtime-Invocation-Id": headers["Lambda-Runtime-Invocation-Id"], **more}
    return post_simple(f"invocation/{name}/{verb}", body, more)


def post_simple(path: str, body: Any, more: dict[str, str]) -> int:
    host, port = API.split(":")
    connection = http.client.HTTPConnection(host, int(port))
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", BASE + path, body, more)
    status = connection.getresponse().status
    connection.close()
    return status


def log(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
