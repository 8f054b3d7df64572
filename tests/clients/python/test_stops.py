"""A stop that returned has stopped: a thousand runs behind a line that loses what chance says."""

import json
import os
import random
from collections.abc import Iterator

import httpx2

from riverrun_client import Client, RiverrunError
from tests.clients.python.both import PLAIN, Pieces
from tests.clients.python.scripted_server import RUN, frame

ROUNDS = int(os.environ.get("ROUNDS", "300"))
STREAM = {"Content-Type": "text/event-stream"}
CANCELLED = {"type": "final", "result": {"answer": "", "finishReason": "cancelled"}}


class LossyServer:
    """One run at most; requests and answers are lost on the way."""

    def __init__(self, chance: random.Random, losses: float) -> None:
        self.started = False
        self.stopped = False
        self.keys: set[str] = set()
        self._chance = chance
        self._losses = losses

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request, or lose it."""
        self._lose()
        if self._chance.random() < self._losses / 2:
            return httpx2.Response(self._chance.choice([429, 502, 503, 504]))
        response = self._handle(request)
        self._lose()
        return response

    def _lose(self) -> None:
        if self._chance.random() < self._losses:
            raise httpx2.ReadError("lost")

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/stop"):
            self.stopped = True
            return httpx2.Response(202, content=b"{}")
        after = int(request.url.params.get("after", 0))
        if request.method == "POST":
            self.started = True
            self.keys.add(request.headers["idempotency-key"])
        named = {"X-Run-Id": RUN} if self._chance.random() < 0.95 else {}
        body = Pieces(list(self._events(after)), broken=self._chance.random() < self._losses)
        return httpx2.Response(200, headers={**STREAM, **named}, stream=body)

    def _events(self, after: int) -> Iterator[bytes]:
        if self.stopped:
            yield frame(after + 1, CANCELLED)
            return
        for seq in range(after + 1, after + 1 + self._chance.randrange(4)):
            yield frame(seq, {"type": "token", "text": "x"})


def test_what_is_called_stopped_is_stopped() -> None:
    """Under one key, from the loop, at any moment; what could not be told is an exception."""
    seed = random.randrange(2**32)
    ends = {"stopped": 0, "raised": 0, "never sent": 0}
    for number in range(ROUNDS):
        chance = random.Random(seed + number)
        server = LossyServer(chance, chance.random() * 0.9)
        with httpx2.Client(transport=httpx2.MockTransport(server), **PLAIN) as http:
            client = Client("http://test", http=http, sleep=lambda _: None, random=chance.random)
            stream = client.stream("Why?")
            told = json.dumps({"seed": seed, "round": number})
            try:
                for count, _ in enumerate(stream):
                    if count >= chance.randrange(6):
                        break
            except RiverrunError:
                pass  # given up: the run may go on, and can still be stopped
            try:
                stream.stop()
            except RiverrunError:
                ends["raised"] += 1
                continue
            finally:
                assert len(server.keys) <= 1, told
            assert server.stopped or not server.started, told
            ends["stopped" if server.started else "never sent"] += 1
    assert ends["stopped"] > ROUNDS / 4, ends
