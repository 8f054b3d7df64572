"""A listening socket and the conversations on it. Knows nothing of what is said.

The handler gets one request and its reply; what it leaves unfinished is dropped. A listener that
only this machine reaches answers to the names that lead here, and to no page's own.
"""

import asyncio
import contextlib
import sys
import traceback
from typing import Any

import h11

from emulator.body import TruncatedBodyError
from emulator.chunked import MalformedBodyError
from emulator.hosts import answers_to, is_from_page, is_loopback, refuse_request
from emulator.http1 import Connection, Handler, Reply, Request, phrase

# How long a connection may take over the head of its next request, as AWS's fronts allow.
HEAD_SECONDS = 60.0
# How long a server that is closed waits for TLS of a connection that has just come.
_HANDSHAKE_SECONDS = 2.0


class Server:
    """A listening socket and the connections it took; closing it closes them.

    `handler` may be replaced at any time: the next request is the new one's.
    One that has not sent the whole head of a request in `head_seconds` is closed. `judges_host`
    says that the handler has a rule of its own for `Host`, `refuses_pages` that no browser has
    anything to ask here.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        head_seconds: float = HEAD_SECONDS,
        judges_host: bool = False,
        refuses_pages: bool = False,
    ) -> None:
        self.handler = handler
        self._head_seconds = head_seconds
        self._is_guarded = not judges_host
        self._refuses_pages = refuses_pages
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    async def listen(self, host: str, port: int) -> None:
        """Accept from now on; `port` 0 takes a free one. Raises `OSError`."""
        self._is_guarded = self._is_guarded and is_loopback(host)
        self._server = await asyncio.start_server(self._accept, host, port, backlog=1024)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def quiet(self, patience: float) -> None:
        """Wait until every conversation is over, at most `patience` seconds."""
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=patience)

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is None:
            return
        await stop_listening(self._server)
        tasks = list(self._connections)
        for task, connection in self._connections.items():
            connection.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A callback, not a coroutine: the task is ours, so that closing can end it.
        connection = Connection(reader, writer)
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._connections[task] = connection
        task.add_done_callback(lambda task: self._connections.pop(task, None))

    async def _converse(self, connection: Connection) -> None:
        try:
            while await self._answer_one(connection):
                pass
            await connection.close()
        except (ConnectionError, asyncio.CancelledError):
            connection.abort()

    async def _answer_one(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(self._head_seconds):
                request = await connection.request()
        except TimeoutError:
            return False  # half a head, or nothing more on a connection that was kept
        except h11.RemoteProtocolError as error:
            await _refuse(connection, error.error_status_hint, str(error))
            return False
        if request is None:
            return False
        reply = Reply(connection, request)
        try:
            await self._handle(request, reply)
        except (TruncatedBodyError, MalformedBodyError):
            if not reply.status:
                await _refuse(connection, 400, "the request body is malformed")
            return False
        except ConnectionError:
            return False
        except Exception:  # noqa: BLE001 - one request must not take the emulator down
            traceback.print_exc(file=sys.stderr)
            if not reply.status:
                await _refuse(connection, 500, "the emulator failed; its log says why")
        if not reply.finished:
            connection.abort()
        return reply.finished and reply.keep_alive and request.body.complete

    async def _handle(self, request: Request, reply: Reply) -> None:
        if self._is_guarded and not answers_to(request):
            await refuse_request(reply, "This server does not answer to that name.")
        elif self._refuses_pages and is_from_page(request):
            await refuse_request(reply, "This server answers to no page.")
        else:
            await self.handler(request, reply)


async def stop_listening(server: asyncio.Server) -> None:
    """Close `server` once each connection that its loop has accepted is in its callback's hands.

    That is some turns later. Closed between, asyncio forgets the connection and leaves it open.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + _HANDSHAKE_SECONDS
    while (accepts := _find_accepts()) and loop.time() < end:
        await asyncio.wait(accepts, timeout=end - loop.time())
    server.close()


def _find_accepts() -> list[asyncio.Task[Any]]:
    return [
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "__name__", "") == "_accept_connection2"
    ]


async def listen(
    handler: Handler,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    judges_host: bool = False,
    refuses_pages: bool = False,
) -> Server:
    """Serve `handler` on `host`:`port`. Raises `OSError` when the port is taken."""
    server = Server(handler, judges_host=judges_host, refuses_pages=refuses_pages)
    await server.listen(host, port)
    return server


async def _refuse(connection: Connection, status: int, why: str) -> None:
    text = f"{why}\n".encode("latin-1", "replace")
    connection.write(
        b"HTTP/1.1 %d %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
        b"Connection: close\r\n\r\n%b" % (status, phrase(status).encode(), len(text), text)
    )
    with contextlib.suppress(ConnectionError):
        await connection.drain()
