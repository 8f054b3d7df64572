"""Strangers: a signed name where they are let in; what they can guess is not shared."""

import json

import pytest

from services.public_settings import AccessSettings
from services.runs import UnknownRunError
from services.settings import Settings
from services.streaming.app import App
from services.streaming.dialect_handlers import find_chat_run, remember_chat
from services.streaming.handlers import handle_visitor
from services.streaming.question import can_be_guessed
from tests.functions.asgi import call

pytestmark = pytest.mark.anyio
SECRETS = ("a secret of 32 characters, or so",)


async def test_a_stranger_is_given_a_name_that_lets_them_in() -> None:
    """And each another one."""
    app = App(Settings(access=AccessSettings(anonymous=True, signing_secrets=SECRETS)))
    owners = set()
    for _ in range(2):
        answer = await call(await handle_visitor(None, "192.0.2.1", app=app))
        assert answer.status == 200
        given = json.loads(answer.body)
        principal = await app.access.identify(given["token"])
        owners.add(principal.owner)
        assert given["expiresAt"] > 1_700_000_000_000
    assert len(owners) == 2


@pytest.mark.parametrize(
    "access",
    [
        AccessSettings(signing_secrets=SECRETS),
        AccessSettings(
            anonymous=True,
            signing_secrets=SECRETS,
            challenge_url="https://challenge.invalid/verify",
            challenge_secret="x",
        ),
    ],
)
async def test_a_stranger_gets_none_elsewhere(access: AccessSettings) -> None:
    """Where none is let in, or the check was not passed: nothing is asked for no answer."""
    app = App(Settings(access=access))
    for answer in (None, "", 7, "x" * 5000):
        refused = await call(await handle_visitor(answer, "192.0.2.1", app=app))
        assert (refused.status, json.loads(refused.body)["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("alice", True),
        ("my-very-long-chat-1", True),
        ("aliceandbobschat", True),
        ("", True),
        ("X2t5OZVYbmFYxiFr", False),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", False),
    ],
)
def test_what_another_client_could_come_upon(name: str, guessed: bool) -> None:
    """A word, and not what a generator made."""
    assert can_be_guessed(name) is guessed


async def test_a_chat_without_an_owner_is_not_found_by_its_name() -> None:
    """From another address `alice` is another chat; an id that was drawn is found from anywhere."""
    app = App(Settings())
    await remember_chat("alice", "1" * 32, owner=None, sender="here", app=app)
    await remember_chat("X2t5OZVYbmFYxiFr", "2" * 32, owner=None, sender="here", app=app)
    assert await find_chat_run("alice", owner=None, sender="here", app=app) == "1" * 32
    with pytest.raises(UnknownRunError):
        await find_chat_run("alice", owner=None, sender="there", app=app)
    drawn = await find_chat_run("X2t5OZVYbmFYxiFr", owner=None, sender="there", app=app)
    assert drawn == "2" * 32
