"""The Runtime API on asyncio with ready-made bytes: no payload read, no application asked.

What is left of the runtime when everything that it is for is taken away: the same loop, the
same sockets, the same number of writes. No client on asyncio can be faster.
"""

import asyncio
import os

from services.lambda_runtime import wire
from services.lambda_runtime.client import RuntimeAPI, RuntimeApiConnection

EVENT = b"data: w".ljust(78, b"x") + b"\n\n"
PRELUDE = wire.prelude(200, {"content-type": "text/event-stream"})


async def answer_forever(host: str, *, keep: bool) -> None:
    """Ask for an invocation and answer it with one event, again and again."""
    api = RuntimeAPI(host)
    api_connection = RuntimeApiConnection(api)
    while True:
        invocation = await api_connection.next()
        kept = api_connection.borrow() if keep else None
        connection = kept or await api.connect()
        head = wire.stream_head(invocation.id, host=host, attempt_id=None)
        connection.write(head + wire.frame_chunk(PRELUDE))
        connection.write(wire.frame_chunk(EVENT))
        connection.write(wire.last_chunk())
        await connection.reply()
        if kept is None:
            connection.close()


def main() -> None:
    """Run until killed."""
    keep = os.environ.get("RIVERRUN_KEEP_ALIVE") == "1"
    asyncio.run(answer_forever(os.environ["AWS_LAMBDA_RUNTIME_API"], keep=keep))


if __name__ == "__main__":
    main()
