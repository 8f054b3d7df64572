"""A model's service that says `count` words to each caller, one every `seconds`: cheap to run.

Each word has one `w`: counting those counts tokens, however they are joined.

``python -m benchmarks.apps.token_service --port N --service bedrock --count 300 --seconds 0.02``.
One loop and ready-made bytes: with a thread a stream, as `fakes` has them, the service would take
more of the machine than the application that is measured.
"""

import argparse
import asyncio

from fakes import bedrock, openai

KINDS = {"bedrock": bedrock, "openai": openai}


class TokenService:
    """The bytes of one answer, which every caller is sent at the same pace."""

    def __init__(self, service: str, count: int, seconds: float) -> None:
        kind = KINDS[service]
        self._head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind.CONTENT_TYPE}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        ).encode() + _chunk(kind.START)
        self._words = [_chunk(kind.text(f"w{number} ")) for number in range(count)]
        self._end = _chunk(kind.stop() + kind.usage(10, count)) + b"0\r\n\r\n"
        self._seconds = seconds

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection, one after the other."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(self._head)
                due = loop.time()
                for word in self._words:
                    due += self._seconds
                    await asyncio.sleep(due - loop.time())
                    writer.write(word)
                writer.write(self._end)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apps.token_service")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service", choices=KINDS, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asked = parser.parse_args()
    service = TokenService(asked.service, asked.count, asked.seconds)
    server = await asyncio.start_server(service.answer, "127.0.0.1", asked.port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
