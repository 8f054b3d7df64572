"""Three frames, each read by the client before the function is let go on to the next.

A front, a runtime or a library that holds bytes back stops these readers for good: they wait
for a frame, and the function waits for them.
"""

import contextlib
import json
from typing import Any

from tests.emulator.support import Gate, raw, read_until


def read_over_http(url: str, path: str, gate: Gate) -> None:
    """The frames over a plain socket."""
    with raw(url, f"{path}?gate={gate.port}") as sock:
        assert b"data: 1" not in read_until(sock, b"data: 0\n\n")
        gate.open()
        assert b"data: 2" not in read_until(sock, b"data: 1\n\n")
        gate.open()
        assert read_until(sock, b"0\r\n\r\n").endswith(b"data: 2\n\n\r\n0\r\n\r\n")


def read_with_boto3(lambdas: Any, function: str, payload: Any, gate: Gate) -> None:
    """The frames as an SDK's event stream gives them."""
    answer = lambdas.invoke_with_response_stream(
        FunctionName=function, Payload=json.dumps(payload).encode()
    )
    with contextlib.closing(answer["EventStream"]) as source:
        events = iter(source)
        received = b""
        for number in range(3):
            if number:
                gate.open()
            end = b"data: %d\n\n" % number
            while not received.endswith(end):
                received += next(events)["PayloadChunk"]["Payload"]
                assert b"data: %d" % (number + 1) not in received
        assert next(events)["InvokeComplete"] == {}
