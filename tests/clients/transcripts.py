"""The table of transcripts, as a server: it answers as the table says and checks what was asked.

`tests/corpus/README.md` says what the fields mean. The server is the same for every client, in
whatever language; only the small drivers that ask and stop differ.
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.netlify.wire import Exchange, PageRequest, Wire, serve

TABLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "corpus" / "transcripts.json").read_text(encoding="utf-8")
)
TRANSCRIPTS: list[dict[str, Any]] = TABLE["transcripts"]
QUESTION = "What is there to see?"


@dataclass
class Scene:
    """One transcript being played by a server."""

    transcript: dict[str, Any]
    url: str = ""
    asked: list[tuple[str, PageRequest]] = field(default_factory=list)
    stops: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, exchange: Exchange) -> None:
        """Answer a request of the client, or one of the two signals between it and the test."""
        path = exchange.asked.path
        gate = exchange.server.gate
        if path == "/api/control/arrived":
            exchange.wait("arrived")
            exchange.reply(200, {})
        elif path == "/api/control/stopping":
            gate("stopping").set()
            exchange.reply(200, {})
        elif path == "/api/chat/runs/run/stop":
            self._answer_stop(exchange)
        elif path == "/api/chat" or path.startswith("/api/chat/runs/run/events?"):
            self._answer_question(exchange, _kind(path))
        else:
            exchange.reply(404)

    def _answer_stop(self, exchange: Exchange) -> None:
        answers: list[Any] = self.transcript["stop"]["answers"]
        with self._lock:
            self.stops += 1
            answer = answers[min(self.stops, len(answers)) - 1]
        if answer == "no head":
            return
        # First, so that the last words may overtake it, as they do.
        if answer == 202:
            exchange.server.gate("stopped").set()
        exchange.reply(answer, {} if answer == 202 else {"error": "No."})

    def _answer_question(self, exchange: Exchange, kind: str) -> None:
        with self._lock:
            self.asked.append((kind, exchange.asked))
            said = self._exchange(len(self.asked))
        exchange.server.gate("arrived").set()
        if said.get("head") == "after stop":
            exchange.wait("stopping")
        end = said.get("end", "close")
        if end == "no head":
            return
        if "status" in said:
            body = said.get("body")
            exchange.reply(said["status"], body, **said.get("headers", {}))
            return
        exchange.open()
        self._say(exchange, said["events"])
        if end in ("until stopped", "cut when stopped"):
            exchange.raw(b": waiting\n")
            exchange.wait("stopped")
            self._say(exchange, said.get("last", []))
        if end == "hold":
            exchange.wait("over")
        if end in ("reset", "cut when stopped"):
            linger = struct.pack("ii", 1, 0)
            exchange.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _exchange(self, number: int) -> dict[str, Any]:
        exchanges: list[dict[str, Any]] = self.transcript["exchanges"]
        for said in exchanges:
            number -= _bounds(said)[1]
            if number <= 0:
                return said
        return exchanges[-1]

    def _say(self, exchange: Exchange, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, int):
                exchange.send(event, TABLE["events"][str(event)])
            elif "raw" in event:
                exchange.raw(event["raw"].encode())
            else:
                named = f"id: {event['id']}\n" if "id" in event else ""
                exchange.raw(f"{named}data: {json.dumps(event['event'])}\n\n".encode())

    def check(self, seen: dict[str, Any]) -> None:
        """What was asked, how often, and what came of it, are as the table says."""
        wanted = self.transcript
        assert (seen["end"], seen["answer"]) == (wanted["end"], wanted["answer"])
        if "stopped" in wanted and "stopped" in seen:
            assert seen["stopped"] is wanted["stopped"]
        kinds = [kind for kind, _ in self.asked]
        for said in wanted["exchanges"]:
            least, most = _bounds(said)
            found = 0
            while kinds and found < most and kinds[0] == said["request"]:
                kinds.pop(0)
                found += 1
            assert found >= least, (said["request"], [kind for kind, _ in self.asked])
        assert kinds == [], "asked too often"
        starts = [asked for kind, asked in self.asked if kind == "start"]
        assert len({asked.headers["idempotency-key"] for asked in starts}) == 1
        assert len({json.dumps(asked.body, sort_keys=True) for asked in starts}) == 1
        if stop := wanted.get("stop"):
            assert self.stops == stop.get("times", len(stop["answers"]))


def _kind(path: str) -> str:
    if path == "/api/chat":
        return "start"
    after, _, rest = path.partition("after=")[2].partition("&")
    assert rest == "resume=1"
    return f"read {after}"


def _bounds(said: dict[str, Any]) -> tuple[int, int]:
    times = said.get("times", 1)
    return (times, times) if isinstance(times, int) else (times[0], times[1])


@contextmanager
def play_transcript(transcript: dict[str, Any]) -> Iterator[tuple[Scene, Wire]]:
    """A server that plays this transcript; it serves the page too."""
    scene = Scene(transcript)
    with serve(scene.answer) as wire:
        scene.url = wire.url
        yield scene, wire
