"""A model's service that says `count` words to each caller, one every `seconds`: cheap to run.

Each word has one `w`: counting those counts tokens, however they are joined.

``python -m benchmarks.apps.token_service --port N --service bedrock --count 300 --seconds 0.02``.
Ready-made bytes and one timer for all streams: with a thread a stream, as `fakes` has them, or a
task, the service would take more of the machine than the application that is measured.
"""

import argparse
import asyncio

from fakes import bedrock, openai

KINDS = {"bedrock": bedrock, "openai": openai}


# The streams are told in so many turns a pause, each stream always in the same one.
TURNS = 20


class TokenService:
    """The bytes of one answer, which every caller is sent at the same pace."""

    def __init__(self, service: str, count: int, seconds: float) -> None:
        kind = KINDS[service]
        self._head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind.CONTENT_TYPE}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        ).encode() + _chunk(kind.START)
        words = [_chunk(kind.text(f"w{number} ")) for number in range(count)]
        self._words = [*words, _chunk(kind.stop() + kind.usage(10, count)) + b"0\r\n\r\n"]
        self._turn_seconds = seconds / TURNS
        self._turns: list[dict[asyncio.StreamWriter, int]] = [{} for _ in range(TURNS)]
        self._now = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the calls of one connection, each of which is answered in its turn."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(self._head)
                self._turns[self._now][writer] = 0
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def tell(self) -> None:
        """Send the words, turn by turn."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self._turn_seconds
            await asyncio.sleep(due - loop.time())
            self._now = (self._now + 1) % TURNS
            streams = self._turns[self._now]
            for writer, number in list(streams.items()):
                writer.write(self._words[number])
                streams[writer] += 1
                if writer.is_closing() or streams[writer] == len(self._words):
                    del streams[writer]


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
    async with server:
        await service.tell()


if __name__ == "__main__":
    asyncio.run(main())
