"""Bedrock as it is on AWS: behind TLS. A stop wakes a thread that reads from such a socket too."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import bedrock as fake
from fakes.aws_account import ACCOUNT
from fakes.steps import Fake
from services import aws
from services.chat import Prompt, answer
from services.chat.providers import read_pacing
from services.chat.providers.bedrock import BedrockProvider
from tests.services.chat.conformance import collect, text_of
from tests.services.tls import certificate, door

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Why?", ())


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """A fake behind a TLS door, and an account that finds and trusts it."""
    trusted = certificate(tmp_path)
    with fake.bedrock() as started, door(started.port, trusted) as port:
        account = {
            **ACCOUNT,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"https://127.0.0.1:{port}",
            "AWS_CA_BUNDLE": str(trusted),
        }
        for name, value in account.items():
            monkeypatch.setenv(name, value)
        aws.forget()
        yield started
        aws.forget()


@pytest.mark.parametrize("gathered", [0.0, 0.01])
async def test_an_answer_is_whole(
    service: Fake, monkeypatch: pytest.MonkeyPatch, gathered: float
) -> None:
    """Read as it comes, and let gather as in a read_pacing."""
    monkeypatch.setattr(read_pacing, "get_read_pause", lambda: gathered)
    words = [f"word{number} " for number in range(200)]
    service.play(fake.whole(*words))
    assert text_of(await collect(BedrockProvider(model="m"), PROMPT)) == "".join(words)


@pytest.mark.parametrize("seen", [0, 1], ids=["before the first byte", "in the middle"])
@pytest.mark.parametrize("gathered", [0.0, 0.01])
async def test_a_stop_closes_the_connection(
    service: Fake, monkeypatch: pytest.MonkeyPatch, gathered: float, seen: int
) -> None:
    """Which the service sees; the promise is 250 ms, here that no time has to be over for it."""
    monkeypatch.setattr(read_pacing, "get_read_pause", lambda: gathered)
    service.play(fake.stream(*[fake.START, fake.text("a ")] * seen, "hang"))
    stream = answer(BedrockProvider(model="m"), PROMPT)
    for _ in range(seen):
        await anext(stream)
    waiting = asyncio.create_task(anext(stream))
    call = await asyncio.to_thread(service.call)
    waiting.cancel()
    await asyncio.wait({waiting})
    await stream.aclose()
    assert await asyncio.to_thread(call.over.wait, 30)
    assert call.left
