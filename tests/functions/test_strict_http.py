"""`make serve` reads HTTP/1.1 strictly: what two readers could read in two ways is refused."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
from h11._receivebuffer import ReceiveBuffer
from uvicorn.config import Config
from uvicorn.server import ServerState

import functions._strict_http as strict
from emulator.server import stop_listening
from functions._strict_http import StrictHttp
from services.errors import SetupError
from tests.functions.serving import Server
from tests.http_table import AMBIGUOUS, GET, NEXT, PLAIN, POST
from tests.loop_clock import LoopClock

pytestmark = pytest.mark.anyio

PATIENCE = 60


class Echo:
    """An application that answers with each body, and knows which requests it saw whole."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serve(app: Callable[..., Any]) -> AsyncGenerator[tuple[str, int]]:
    """The address of a server for one test."""
    config = Config(app, http=StrictHttp, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: StrictHttp(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        await stop_listening(server)
        for connection in list(state.connections):
            connection.transport.abort()
        while state.tasks:
            await asyncio.wait(state.tasks)


async def talk(address: tuple[str, int], *said: bytes, ends: bool = False) -> bytes:
    """All that the server says to these bytes until it ends the connection."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for data in said:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)
        if ends:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()


@pytest.mark.parametrize("name", AMBIGUOUS)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "byte by byte"])
async def test_what_can_be_read_in_two_ways_is_refused(name: str, cut: bool) -> None:
    """One 400, the connection closed, and what stands behind it not served."""
    sent = AMBIGUOUS[name] + NEXT
    app = Echo()
    async with serve(app) as address:
        said = await talk(address, *([bytes([byte]) for byte in sent] if cut else [sent]))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in said.lower()
    assert app.seen == []


@pytest.mark.parametrize("name", PLAIN)
async def test_what_has_one_meaning_is_served(name: str) -> None:
    """As h11 alone would, also in single bytes."""
    sent, bodies = PLAIN[name]
    final = GET + b"Connection: close\r\n\r\n"
    pieces = [bytes([byte]) for byte in sent + final]
    async with serve(Echo()) as address:
        for said in (await talk(address, sent + final), await talk(address, *pieces)):
            assert read_bodies(said, len(bodies) + 1) == [*bodies, b""]


def read_bodies(said: bytes, count: int) -> list[bytes]:
    """What h11 reads in so many answers."""
    judge = h11.Connection(h11.CLIENT)
    judge.receive_data(said)
    bodies = []
    for _ in range(count):
        judge.send(h11.Request(method="POST", target="/", headers=[("Host", "x")]))
        judge.send(h11.EndOfMessage())
        body = b""
        while not isinstance(event := judge.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                assert event.status_code == 200
            else:
                assert isinstance(event, h11.Data)
                body += event.data
        bodies.append(body)
        if judge.their_state is h11.DONE:
            judge.start_next_cycle()
    return bodies


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", GET, POST + b"Content-Length: 9\r\n\r\n{", GET + b"\r\n" + GET]
)
async def test_half_a_request_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Closed by the server; a whole one before it is answered."""
    clock = LoopClock(monkeypatch)
    async with serve(Echo()) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(sent)
        for _ in range(sent.count(b"\r\n\r\nGET")):
            await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 200 "), PATIENCE)
        said = await clock.read_to_end(reader, strict.REQUEST_SECONDS)
        writer.close()
    assert b"HTTP/1.1" not in said


async def test_an_answer_is_not_cut_for_a_question_that_has_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client reads while it still sends: the time for its request passes meanwhile."""
    clock = LoopClock(monkeypatch)

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for _ in range(20):  # each a chance for the timer to come too early
            await clock.let_pass(strict.REQUEST_SECONDS)
        await send({"type": "http.response.body", "body": b"ok"})

    async with serve(answer) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(POST + b"Content-Length: 9\r\n\r\n{")
        await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 200 "), PATIENCE)
        said = await clock.read_to_end(reader, strict.REQUEST_SECONDS)
        writer.close()
    assert said.endswith(b"\r\n\r\nok")


async def test_a_bad_chunk_during_an_answer_ends_the_connection() -> None:
    """No second head can be written: what was said is said, and no traceback is."""
    ended = asyncio.Event()

    async def answer(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    async with serve(answer) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"begun\r\n"), PATIENCE)
        writer.write(b"zz\r\n" + NEXT)
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        await asyncio.wait_for(ended.wait(), PATIENCE)
        writer.close()


async def test_a_refused_client_that_goes_on_sending_still_reads_why() -> None:
    """A reset in its place would say nothing."""
    async with serve(Echo()) as address:
        said = await talk(address, b"nonsense\r\n\r\n", *[b"x" * 65536] * 8)
    assert said.startswith(b"HTTP/1.1 400 ")


@pytest.mark.slow
def test_make_serve_reads_so(server: Server) -> None:
    """The command, as it is started."""
    said = b""
    with server.raw(AMBIGUOUS["a length and chunks"] + NEXT) as wire:
        while more := wire.recv(1 << 16):
            said += more
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1


async def test_the_installed_h11_is_read_strictly() -> None:
    """By a private name of it: the version that is locked still has what that hangs on."""
    strict.check_strictness()


@pytest.mark.parametrize("method", ["maybe_extract_lines", "maybe_extract_next_line"])
async def test_an_h11_that_takes_its_lines_elsewhere_is_not_served(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It is told at the start, with what to do; a stranger would find out otherwise."""
    monkeypatch.setattr(strict._StrictBuffer, method, getattr(ReceiveBuffer, method))
    with pytest.raises(SetupError, match=r"h11 .* Install the h11 of requirements.txt"):
        strict.check_strictness()


async def test_an_h11_without_the_name_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one whose buffer has another shape, or goes by another name."""

    class Renamed(h11.Connection):
        """A connection whose buffer is elsewhere."""

    monkeypatch.setattr(strict, "_StrictConnection", lambda *_: Renamed(h11.SERVER))
    with pytest.raises(SetupError, match="h11"):
        strict.check_strictness()
    monkeypatch.setattr(strict, "_StrictConnection", lambda *_: object())
    with pytest.raises(SetupError, match="h11"):
        strict.check_strictness()
