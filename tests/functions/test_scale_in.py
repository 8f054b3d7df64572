"""An environment of a Web Function is ended under its streams: each is told, each run goes on."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from tests.functions.hosts import make_script, run_host
from tests.functions.wire import Response, SeenEvent, get, post

log = logging.getLogger(__name__)

# Longer than any machine takes for what is done with it: each answer is stopped.
SCRIPT = make_script(20_000, 100)
QUESTION = {"query": "count", "streaming": True, "resume": True}
SECOND = 1.0


async def read_until(response: Response, *kinds: str) -> list[SeenEvent]:
    """The events up to the chunk that has one of these kinds; all of them where none comes."""
    seen: list[SeenEvent] = []
    while found := await response.events():
        seen += found
        if any(one.event["type"] in kinds for one in found):
            break
    return seen


class Stream:
    """One reader: what it saw in the environment that ends, and in the one that goes on."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[SeenEvent] = []
        self.speaks = asyncio.Event()
        self.told_at = 0.0
        self.last: SeenEvent | None = None

    async def read_first(self) -> None:
        """Read to the end of the body."""
        async with Response(self.port, post(QUESTION)) as response:
            assert response.status == 200
            try:
                self.seen += await read_until(response, "token")
            finally:
                self.speaks.set()
            *rest, self.last = await read_until(response)
            self.told_at = time.monotonic()
            self.seen += rest

    async def go_on(self) -> None:
        """Read on elsewhere until there is more, stop the run, and read its end."""
        assert self.last is not None
        run, _, after = self.last.event["cursor"].rpartition("-")
        target = get(f"/api/chat/runs/{run}/events?after={after}&resume=1")
        async with Response(self.port, target) as response:
            self.seen += await read_until(response, "token")
            stop = get(f"/api/chat/runs/{run}/stop").replace(b"GET", b"POST", 1)
            async with Response(self.port, stop) as stopped:
                assert stopped.status == 202
            self.seen += await read_until(response)

    def check(self) -> None:
        """Told to come back; then one stream without a gap, that ends as it was stopped."""
        assert self.last is not None
        event = self.last.event
        assert (event["type"], event["reason"]) == ("paused", "shutdown")
        assert [one.seq for one in self.seen] == list(range(1, len(self.seen) + 1))
        said = "".join(one.event.get("text", "") for one in self.seen)
        words = said.split()
        assert words == [str(number) for number in range(len(words))]
        assert self.seen[-1].event["result"]["answer"] == said
        assert self.seen[-1].event["result"]["finishReason"] == "cancelled"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "term_seconds"),
    [(8, 60.0), pytest.param(64, SECOND, marks=pytest.mark.soak)],
    ids=["a few", "64 within a second"],
)
def test_each_stream_is_told_and_each_run_goes_on(
    tmp_path: Path, index: Path, streams: int, term_seconds: float
) -> None:
    """SIGTERM, a second and SIGKILL; a busy machine has longer where there are few."""
    options = {"term_seconds": term_seconds, "init_limit": 60.0}
    with run_host("web", tmp_path, index, SCRIPT, timeout=900, options=options) as started:
        port = int(started.url("web web").rpartition(":")[2])
        function = started.cloud.endpoints["web"].function

        async def live() -> None:
            readers = [Stream(port) for _ in range(streams)]
            bodies = [asyncio.create_task(reader.read_first()) for reader in readers]
            await asyncio.gather(*(reader.speaks.wait() for reader in readers))
            (environment,) = function.sandboxes
            signalled = time.monotonic()
            await asyncio.to_thread(started.call, function.retire)
            await asyncio.gather(*bodies)
            late = sorted(reader.told_at - signalled for reader in readers)
            await asyncio.gather(*(reader.go_on() for reader in readers))
            for reader in readers:
                reader.check()
            assert environment not in function.sandboxes or not environment.alive
            log.info(
                "%d streams: the last byte %.3f s after SIGTERM (median %.3f s)",
                streams,
                late[-1],
                late[streams // 2],
            )
            if term_seconds == SECOND:
                assert late[-1] < SECOND

        asyncio.run(live())
