"""What two asyncio processes cost that only hand bytes on: no HTTP, no Lambda, no stages.

A streamed answer passes the runtime's process and the emulator's, so no emulator in Python can
bring an event to its client faster than this. ``python -m benchmarks.apps.relay --port N`` is
the second of them; it starts the first, which says what `sources` says.
"""

import argparse
import asyncio
import socket
import sys

from benchmarks.apps.sources import source

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Producer(asyncio.Protocol):
    """The first process: takes a request line, writes each frame as it is yielded, hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The request comes in one piece from the other process."""
        self._task = asyncio.get_running_loop().create_task(self._say(data.split()[1]))

    async def _say(self, target: bytes) -> None:
        path, _, query = target.partition(b"?")
        self._transport.write(HEAD)
        async for frame in source(path.decode(), query):
            self._transport.write(frame)
        self._transport.close()


class Copier(asyncio.Protocol):
    """One side of a connection through the second process: what it gets, the other side is sent."""

    other: asyncio.Transport | None = None

    def data_received(self, data: bytes) -> None:
        """In the callback that reads it, without a task or a queue between."""
        if self.other is not None:
            self.other.write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """One side's end is the other's."""
        if self.other is not None:
            self.other.close()


class Front(Copier):
    """The client's side; opens the other one when it is asked for something."""

    def __init__(self, port: int) -> None:
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The whole request, which is passed on as it is."""
        self._task = asyncio.get_running_loop().create_task(self._pass_on(data))

    async def _pass_on(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(Copier, "127.0.0.1", self._port)
        protocol.other, self.other = self._transport, transport
        transport.write(request)


async def say() -> None:
    """Be the first process: print the port, serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Producer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def relay(port: int) -> None:
    """Be the second process, and start the first."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.apps.relay"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    behind = int(await child.stdout.readline())
    listener = socket.create_server(("127.0.0.1", port))
    server = await asyncio.get_running_loop().create_server(lambda: Front(behind), sock=listener)
    await server.serve_forever()


def main() -> None:
    """With a port the second process, without one the first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apps.relay", description=__doc__)
    parser.add_argument("--port", type=int)
    port = parser.parse_args().port
    asyncio.run(say() if port is None else relay(port))


if __name__ == "__main__":
    main()
