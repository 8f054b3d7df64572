"""The conversation with a server, without a socket: which request, which wait, which event.

A generator yields what is to be done (`Call`, `Read`, `Pause`, `Leave`, `Renew`, `Tell`) and is
sent what came of it; `riverrun_client.client` has the two shells, blocking and async, that do it. A
connection that fails is thrown in as a `LostError`. So everything a client decides is here once,
and a test needs neither network nor clock.

A shell holds at most one response, and closes it before the next `Call`, `Pause` or `Leave` and at
the end.
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from riverrun_client.cursor import Place
from riverrun_client.errors import GaveUpError, ProtocolError, RiverrunError, RunFailedError
from riverrun_client.events import Event, Retrying
from riverrun_client.requests import Endpoint, Question, Request
from riverrun_client.response_check import BODY_LIMIT, Head, verdict
from riverrun_client.retry_policy import LostError, Patience, Tries
from riverrun_client.sse import EventStreamParser, Frame, TooLargeError


@dataclass(frozen=True, slots=True)
class Call:
    """Send a request. Answered with its `Head`; the body is read with `Read`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Read on. Answered with the next bytes, or None at the end of the body."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Leave:
    """Close the connection: what is told next may be looked at for as long as it takes."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Ask whoever gave the key for a new one. Answered with whether there is one."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Hand this to the caller."""

    said: Event | Retrying | RiverrunError


Act = Call | Read | Pause | Leave | Renew
Do = Act | Tell
T = TypeVar("T")
Steps = Generator[Do, Any, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What a client does everything with."""

    endpoint: Endpoint
    patience: Patience
    clock: Callable[[], float]
    random: Callable[[], float]

    def tries(self) -> Tries:
        """A new count."""
        return Tries(self.patience, self.clock, self.random)


def read_run(ways: Ways, place: Place, question: Question | None) -> Steps[None]:
    """Tell every event of a run after `place`, each once and in order, to the terminal one.

    `question` starts the run where it is not known yet. Raises `RiverrunError` when there can be
    no terminal event, or it is an error; after `GaveUpError` the same place can be read on from.
    """
    if place.error is not None:
        raise place.error
    if place.ended:
        return
    tries = ways.tries()
    try:
        yield from _patiently(lambda: _connection(ways, place, question, tries), place, tries)
    except RiverrunError as error:
        if not isinstance(error, GaveUpError):
            place.error = error
        yield Leave()
        yield Tell(error)
        raise


def stop_run(ways: Ways, place: Place, question: Question | None) -> Steps[None]:
    """End a run on the server, and return when the server has accepted it.

    A run whose question may have arrived, but whose id has not come back, is found by asking
    again under the same key. Raises `RiverrunError` when the server cannot be told.
    """
    place.stopped = True
    tries = ways.tries()

    def tell() -> Steps[None]:
        if not place.run_id and question is not None:
            head = yield from _call(ways.endpoint.start(question), tries)
            if not head.streams:
                yield from _refused(head, place)
            place.begin(head.headers.get("x-run-id", ""))
        if not place.run_id:
            raise ProtocolError("The server does not say which run it started.")
        yield from _json(ways.endpoint.stop(place.run_id), place, tries)

    if not place.ended and (place.run_id or place.asked):
        yield from _patiently(tell, place, tries)


def read_state(ways: Ways, place: Place) -> Steps[Mapping[str, Any]]:
    """What the server knows of a run, as its JSON."""
    tries = ways.tries()
    request = ways.endpoint.state(place.run_id)
    body = yield from _patiently(lambda: _json(request, place, tries), place, tries)
    try:
        state = json.loads(body)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise ProtocolError("The address answers, but not with the state of a run.")
    return state


def kept(steps: Steps[T], returned: list[T]) -> Steps[None]:
    """The same conversation, with what it returns in a list: an async generator returns none."""
    returned.append((yield from steps))


def _patiently(attempt: Callable[[], Steps[T]], place: Place, tries: Tries) -> Steps[T]:
    """Try until it is done. Raises `GaveUpError` when patience ends."""
    while True:
        try:
            return (yield from attempt())
        except LostError as lost:
            wait = tries.after(lost)
            if wait is None:
                raise _given_up(lost, place, tries) from None
            said = Retrying(reason=lost.reason, attempt=tries.vain, wait=wait, paused=lost.paused)
            yield Tell(said)
            yield Pause(wait)


def _connection(ways: Ways, place: Place, question: Question | None, tries: Tries) -> Steps[None]:
    """Read one response. Returns after the terminal event, raises `LostError` before it."""
    if place.seq or question is None:
        request = ways.endpoint.read(place.run_id, place.seq)
    elif place.stopped and not place.run_id:
        raise RunFailedError("Stopped before it was asked.", code="cancelled")
    else:
        # Also when the head named a run and no event followed: its key finds it wherever it is.
        request = ways.endpoint.start(question)
        place.asked = True
    head = yield from _call(request, tries)
    if not head.streams:
        yield from _refused(head, place)
    if (dropped := place.begin(head.headers.get("x-run-id", ""))) is not None:
        yield Tell(dropped)
    parser = EventStreamParser()
    while (chunk := (yield Read())) is not None:
        place.first_byte = ways.clock() if place.first_byte is None else place.first_byte
        for frame in _frames(parser, chunk, place):
            if (event := place.accept(frame)) is None:
                continue
            tries.progress()
            if place.ended:
                yield Leave()
                yield Tell(event)
                return
            yield Tell(event)
        if parser.retry is not None:
            tries.reconnection_time(parser.retry)
    raise LostError("The stream ended before the answer did.")


def _frames(parser: EventStreamParser, chunk: bytes, place: Place) -> Iterator[Frame]:
    try:
        yield from parser.feed(chunk)
    except TooLargeError as error:
        raise ProtocolError(str(error), code="too_large", **_seen(place)) from None


def _call(request: Request, tries: Tries) -> Steps[Head]:
    """The head of the answer; a refused key is renewed once."""
    head: Head = yield Call(request)
    if head.status == 401 and (yield Renew()):
        head = yield Call(request)
    tries.met = True
    return head


def _json(request: Request, place: Place, tries: Tries) -> Steps[bytes]:
    """The body of an answer that says yes. Raises what any other means."""
    head = yield from _call(request, tries)
    if head.status not in (200, 202, 204):
        yield from _refused(head, place)
    return (yield from _body())


def _refused(head: Head, place: Place) -> Steps[NoReturn]:
    problem = verdict(head, (yield from _body()))
    raise _placed(problem, place) if isinstance(problem, RiverrunError) else problem


def _body() -> Steps[bytes]:
    body = b""
    try:
        while len(body) < BODY_LIMIT and (chunk := (yield Read())) is not None:
            body += chunk
    except LostError:
        pass  # what came of it has to do: the status is known
    return body


def _given_up(lost: LostError, place: Place, tries: Tries) -> RiverrunError:
    if lost.verdict is not None:
        return _placed(lost.verdict, place)
    if tries.met:
        hint = "The run goes on without a reader: read on from the cursor later."
        return GaveUpError(lost.reason, hint=hint, **_seen(place))
    hint = "Check the address, and whether the server runs."
    return GaveUpError(lost.reason, code="unreachable", hint=hint, **_seen(place))


def _seen(place: Place) -> dict[str, Any]:
    return {"partial": place.partial, "run_id": place.run_id or None, "cursor": place.cursor}


def _placed(error: RiverrunError, place: Place) -> RiverrunError:
    for name, value in _seen(place).items():
        setattr(error, name, value)
    return error
