"""Who sends a request: the headers that say so, and which of them are believed."""

from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request

from services.access import AccessError
from services.settings import Settings
from services.streaming.app import App, set_default_app
from services.streaming.http.credentials import (
    identify_caller,
    knows_session,
    read_address,
    read_owner,
    read_run_owner,
)
from tests.services.streaming.http.test_requests import request

pytestmark = pytest.mark.anyio

KEYS = Settings(api_keys=("alpha", "schlüssel"))


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "alpha", "Basic alpha", "Bearer alph", "Bearer alphaa",
     "Bearer ALPHA", "Bearer alpha,beta", "Bearer \xff", "Bearer alpha beta",
     "Bearer " + "a" * 99999],
)  # fmt: skip
async def test_without_a_known_key_nobody_is_let_in(header: str | None) -> None:
    """401, before anything is read or paid for."""
    headers = {} if header is None else {"Authorization": header}
    with pytest.raises(AccessError) as caught:
        await read_owner(request(headers=headers), KEYS)
    assert caught.value.code == "unauthorized"


async def test_a_key_names_its_owner_and_is_not_the_name() -> None:
    """The scheme is case-insensitive; the name can be stored without storing the key."""
    owner = await read_owner(request(headers={"Authorization": "bearer  alpha"}), KEYS)
    utf8 = "Bearer schlüssel".encode().decode("latin-1")
    other = await read_owner(request(headers={"Authorization": utf8}), KEYS)
    assert owner
    assert other
    assert owner != other
    assert "alpha" not in owner
    assert await read_owner(request(), Settings()) is None


async def test_a_key_may_travel_beside_a_signature_and_nowhere_else() -> None:
    """What signs for a visitor needs the header of the visitor's key, and moves the key aside."""
    signature = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/lambda/aws4_request, …"
    signed = {"Authorization": signature.encode().decode("latin-1")}
    beside = {"X-Riverrun-Authorization": "Bearer alpha"}
    plain = await read_owner(request(headers={"Authorization": "Bearer alpha"}), KEYS)
    assert await read_owner(request(headers=signed | beside), KEYS) == plain
    for headers in (signed, beside, signed | {"X-Riverrun-Authorization": "Bearer no"}):
        with pytest.raises(AccessError):
            await read_owner(request(headers=headers), KEYS)


async def test_a_door_that_takes_the_signature_away_leaves_the_key_beside_it() -> None:
    """As a Web Function's does; without a key there the visitor has none."""
    behind = replace(KEYS, signed=True)
    plain = await read_owner(request(headers={"Authorization": "Bearer alpha"}), KEYS)
    beside = {"X-Riverrun-Authorization": "Bearer alpha"}
    assert await read_owner(request(headers=beside), behind) == plain
    for headers in ({}, {"X-Riverrun-Authorization": "Bearer no"}):
        with pytest.raises(AccessError):
            await read_owner(request(headers=headers), behind)


async def test_two_credentials_are_none() -> None:
    """A proxy may have looked at the other one."""
    twice = request(headers={"Authorization": "Bearer alpha"})
    twice.scope["headers"].append((b"authorization", b"Bearer no"))
    with pytest.raises(AccessError):
        await read_owner(Request(twice.scope), KEYS)


def sign_as(**context: Any) -> dict[str, Any]:
    return {"requestContext": context}


@pytest.mark.parametrize(
    ("settings", "event", "address"),
    [
        (Settings(), None, "192.0.2.7"),
        (Settings(gateway_secrets=("s",)), None, "203.0.113.9"),
        (Settings(), sign_as(authorizer={"iam": {"userArn": "a"}}), "203.0.113.9"),
        (Settings(), sign_as(identity={"userArn": "a"}), "203.0.113.9"),
        (Settings(signed=True), None, "203.0.113.9"),
        (Settings(), sign_as(identity={"userArn": None}), "192.0.2.7"),
        (Settings(), sign_as(authorizer=None, identity=[]), "192.0.2.7"),
        (Settings(), "a string", "192.0.2.7"),
    ],
)
def test_only_a_gateway_that_proved_itself_says_whose_address_it_is(
    settings: Settings, event: Any, address: str
) -> None:
    """The header of a visitor is worth nothing."""
    asked = request(headers={"X-Riverrun-Visitor": "203.0.113.9", "X-Forwarded-For": "1.1.1.1"})
    asked.scope["client"] = ("192.0.2.7", 1)
    asked.scope["aws.event"] = event
    assert read_address(asked, settings) == address


@pytest.mark.parametrize("told", ["", "nonsense here", "a" * 46, "1.2.3.4, 5.6.7.8"])
def test_what_is_no_address_is_none(told: str) -> None:
    """It would become a name that limits count for."""
    asked = request(headers={"X-Riverrun-Visitor": told})
    assert read_address(asked, Settings(gateway_secrets=("s",))) == ""


async def test_a_link_reads_its_run_and_nothing_else() -> None:
    """In the place of a header that an EventSource cannot send."""
    app = App(KEYS)
    set_default_app(app)
    try:
        owner = (await identify_caller(request(headers={"Authorization": "Bearer alpha"}))).owner
        token, _ = await app.access.make_link("r1", owner)
        asked = request(target=f"/api/chat?token={token}")
        assert await read_run_owner(asked, "r1") == owner
        for run, query in (("r2", f"token={token}"), ("r1", "token="), ("r1", "token=rl1.x.y")):
            with pytest.raises(AccessError):
                await read_run_owner(request(target=f"/api/chat?{query}"), run)
        with pytest.raises(AccessError):
            await read_owner(asked)
    finally:
        set_default_app(None)


async def test_a_strangers_session_is_one_that_we_named() -> None:
    """A name that can be guessed is none."""
    app = App()
    set_default_app(app)
    try:
        assert await knows_session(await app.access.name_session())
        assert not await knows_session("alice")
    finally:
        set_default_app(None)
