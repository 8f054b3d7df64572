"""When bytes leave: read from the other end of a real socket, without giving the loop a turn."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from services.lambda_runtime import wire
from services.lambda_runtime.connection import Address, Connection
from services.lambda_runtime.writer import JOIN_UP_TO, PAUSE, StreamWriter

pytestmark = pytest.mark.anyio


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


class Pair:
    """A writer, and the peer who reads it."""

    def __init__(self, listener: socket.socket) -> None:
        address = Address(socket.AF_INET, listener.getsockname())
        self.connection = Connection(address)
        self.peer, _ = listener.accept()
        self.peer.settimeout(60)
        self.writer = StreamWriter(self.connection, b"HEAD")

    def read(self) -> bytes:
        """What one read gives; the loop is not asked."""
        return self.peer.recv(1 << 20)

    def is_silent(self) -> bool:
        """Whether nothing more has come."""
        self.peer.setblocking(False)
        try:
            return not self.peer.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.peer.settimeout(60)


@pytest.fixture
async def pair(listener: socket.socket) -> object:
    pair = Pair(listener)
    await asyncio.sleep(0)  # connected by now, or the next turn will see it
    return pair


@pytest.fixture(autouse=True)
def close_pair(pair: Pair) -> Iterator[None]:
    yield
    pair.peer.close()


async def test_a_lone_frame_leaves_before_add_returns(pair: Pair) -> None:
    """An application that blocks the loop after it cannot hold it back."""
    pair.writer.begin(b"{}")
    assert pair.read() == b"HEAD2\r\n{}\r\n"
    pair.writer.add(b"one")
    assert pair.read() == b"3\r\none\r\n"
    await asyncio.sleep(PAUSE * 2)
    pair.writer.add(b"two")
    assert pair.read() == b"3\r\ntwo\r\n"
    pair.connection.close()


async def test_a_first_frame_leaves_with_the_prelude(pair: Pair) -> None:
    """In one write, and each a chunk of its own."""
    sent: list[bytes] = []
    write = Connection.write

    def write_noted(self: Connection, data: bytes) -> None:
        sent.append(data)
        write(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "write", write_noted)
        pair.writer.begin(b"{}", b"one")
    assert sent == [b"HEAD2\r\n{}\r\n3\r\none\r\n"]
    assert pair.read() == sent[0]
    pair.connection.close()


@pytest.fixture
def close_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames follow closely even where the machine is busy with something else between them."""
    monkeypatch.setattr("services.lambda_runtime.writer.PAUSE", 60.0)


@pytest.mark.usefixtures("close_together")
async def test_a_burst_leaves_in_one_write_at_the_end_of_its_turn(pair: Pair) -> None:
    """What follows closely is joined, in one chunk."""
    pair.writer.begin()
    pair.writer.add(b"first")
    assert pair.read() == b"HEAD5\r\nfirst\r\n"
    for n in range(10):
        pair.writer.add(b"%d" % n)
    assert pair.is_silent()
    await asyncio.sleep(0)
    assert pair.read() == b"a\r\n0123456789\r\n"
    pair.connection.close()


@pytest.mark.usefixtures("close_together")
async def test_a_burst_is_cut_at_64_kib(pair: Pair) -> None:
    """And `add` asks to drain there, which lets the other streams run."""
    pair.writer.begin()
    pair.writer.add(b"first")
    asked = [pair.writer.add(b"x" * 1024) for _ in range(64)]
    assert asked == [False] * 63 + [True]
    data = b""
    while len(data) < JOIN_UP_TO:
        data += pair.read()
    assert b"10000\r\n" in data
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    await pair.writer.drain()
    assert turns == [1]
    pair.connection.close()


async def test_the_end_takes_the_last_frame_with_it(pair: Pair) -> None:
    """One write: the frames that waited, the last one, the last chunk."""
    pair.writer.begin()
    pair.writer.add(b"a")
    pair.writer.add(b"b")
    assert pair.read() == b"HEAD1\r\na\r\n"
    pair.writer.end(b"c")
    assert pair.read() == b"2\r\nbc\r\n0\r\n\r\n"
    pair.connection.close()


async def test_a_frame_larger_than_every_buffer_arrives_whole(pair: Pair) -> None:
    """RequestCase in as many pieces as the kernel takes it in."""
    frame = bytes(range(256)) * 80_000
    pair.writer.begin()
    assert pair.read() == b"HEAD"
    assert pair.writer.add(frame)
    assert bool(pair.connection.is_blocked)
    reading = asyncio.create_task(
        asyncio.to_thread(read_exactly, pair, len(wire.frame_chunk(frame)))
    )
    await pair.writer.drain()
    assert await reading == wire.frame_chunk(frame)
    assert not pair.connection.is_blocked
    pair.connection.close()


def read_exactly(pair: Pair, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += pair.peer.recv(4096)
    return bytes(data)


async def test_nothing_waits_for_an_acknowledgement(pair: Pair) -> None:
    """TCP_NODELAY: without it the first frame is 40 ms late on a real network."""
    sock = pair.connection._socket
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    pair.connection.close()


async def test_a_lost_peer_wakes_the_writer_that_waits_for_it(pair: Pair) -> None:
    """The rest of the body is dropped, and `loss` says why."""
    pair.writer.begin()
    pair.writer.add(b"x" * 20_000_000)
    waiting = asyncio.create_task(pair.writer.drain())
    await asyncio.sleep(0)
    assert not waiting.done()
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    pair.peer.close()
    async with asyncio.timeout(60):
        await waiting
    assert isinstance(pair.connection.loss, OSError)
    assert not pair.connection.is_blocked
