"""A small client that obeys `paused`: one reader of one answer, over however many bodies."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.event_stream import EventStreamParser

TERMINAL = ("final", "error")


@dataclass
class Body:
    """One response: its status, how it ended, and when, in seconds since it was asked for."""

    status: int
    whole: bool
    seconds: float
    paused: dict[str, Any] | None = None


@dataclass
class Answer:
    """What the reader got: the events with an id, in order, and the bodies they came in."""

    events: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    unkept: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    @property
    def cursor(self) -> str:
        """Where to read on; a busy machine may have had no time for an event in its first body."""
        if self.ids:
            return self.ids[-1]
        return str(next(body.paused["cursor"] for body in self.bodies if body.paused))

    @property
    def run(self) -> str:
        """The run's id."""
        return self.cursor.rpartition("-")[0]

    @property
    def last(self) -> dict[str, Any]:
        """The last event with an id."""
        return self.events[-1]

    @property
    def text(self) -> str:
        """All tokens."""
        return "".join(event["text"] for event in self.events if event["type"] == "token")

    @property
    def has_ended(self) -> bool:
        """Whether a terminal event came that the log has."""
        return bool(self.events) and self.last["type"] in TERMINAL

    def check(self) -> None:
        """One gapless stream with one end."""
        assert self.ids == [f"{self.run}-{number}" for number in range(1, len(self.ids) + 1)]
        ends = [event for event in self.events if event["type"] in TERMINAL]
        assert ends == [self.last]


def read_on(url: str, query: str, *, limit: float = 300.0, **data: Any) -> Answer:
    """Ask `query` at `url`, and read until the answer has ended, over as many bodies as it takes.

    Goes on after `paused` and after a body that broke off. Raises `TimeoutError` after `limit`
    seconds.
    """
    answer = Answer()
    body = json.dumps({"query": query, "streaming": True, "resume": True, **data}).encode()
    read_body(answer, url, "POST", "/api/chat", body)
    go_on(answer, url, limit)
    return answer


def go_on(answer: Answer, url: str, limit: float) -> None:
    """Read `answer` to its end. Raises `TimeoutError` after `limit` seconds."""
    until = time.monotonic() + limit
    while not answer.has_ended:
        if time.monotonic() > until:
            raise TimeoutError(f"not at its end: {answer.bodies}")
        paused = answer.bodies[-1].paused if answer.bodies else None
        time.sleep(paused["resumeAfterMs"] / 1000 if paused else 0.05)
        after = answer.cursor.rpartition("-")[2]
        read_body(answer, url, "GET", f"/api/chat/runs/{answer.run}/events?after={after}&resume=1")


def read_body(  # noqa: PLR0917 - a request has as many parts
    answer: Answer,
    url: str,
    method: str,
    target: str,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    patience: float = 120.0,
) -> Body:
    """One request, whose events are added to `answer`.

    Raises `TimeoutError` after `patience` seconds without a byte.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=patience)
    began = time.monotonic()
    named = {"Content-Type": "application/json"} if data is not None else {}
    try:
        connection.request(method, target, data, {**named, **(headers or {})})
        response = connection.getresponse()
        body = Body(response.status, whole=True, seconds=0.0)
        answer.bodies.append(body)
        parser = EventStreamParser()
        try:
            while chunk := response.read1(65536):
                if response.status == 200:
                    _take(answer, body, parser.feed(chunk), time.monotonic())
        except (http.client.IncompleteRead, ConnectionError):
            body.whole = False
        body.seconds = time.monotonic() - began
        return body
    finally:
        connection.close()


def _take(answer: Answer, body: Body, events: Any, now: float) -> None:
    for event in events:
        told = json.loads(event.data)
        if told["type"] == "paused":
            body.paused = told
        elif told["type"] == "error" and (not answer.ids or event.id == answer.ids[-1]):
            answer.unkept.append(told)  # it came without an id
        else:
            answer.events.append(told)
            answer.ids.append(event.id)
            answer.gaps.append(now)
