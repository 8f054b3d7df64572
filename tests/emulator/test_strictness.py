"""The emulator reads HTTP/1.1 strictly: what two readers could read in two ways is refused."""

import pytest

from emulator.http1 import Reply, Request
from tests.emulator.test_server import echo, talk
from tests.http_table import AMBIGUOUS, NEXT, PLAIN

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", AMBIGUOUS)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "byte by byte"])
async def test_what_can_be_read_in_two_ways_is_refused(name: str, cut: bool) -> None:
    """One refusal, the connection closed, and what stands behind it not served."""
    seen: list[str] = []

    async def handler(request: Request, reply: Reply) -> None:
        await request.body.read_all(1000)
        seen.append(request.path)
        await reply.send(200, [])

    sent = AMBIGUOUS[name] + NEXT
    said = await talk(handler, *([bytes([byte]) for byte in sent] if cut else [sent]), eof=False)
    assert said.split(b" ")[1] in (b"400", b"501")
    assert said.count(b"HTTP/1.1 ") == 1
    assert seen == []


@pytest.mark.parametrize("name", PLAIN)
async def test_what_has_one_meaning_is_served(name: str) -> None:
    """Also in single bytes."""
    sent, bodies = PLAIN[name]
    whole = await talk(echo, sent)
    assert whole.count(b"HTTP/1.1 200 ") == len(bodies)
    assert whole.endswith(b"\r\n\r\n" + bodies[-1])
    assert await talk(echo, *(bytes([byte]) for byte in sent)) == whole
