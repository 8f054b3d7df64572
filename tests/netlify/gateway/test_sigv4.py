"""Every signature of ours is botocore's, whatever the request is made of."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.netlify.gateway.hosts import sign_requests

pytestmark = pytest.mark.node

HOSTS = ["https://a1b2.lambda-url.eu-west-1.on.aws", "http://127.0.0.1:3010", "https://x.example"]
CHARACTERS = "abzAZ059-._~!$&'()*+,;=:@/?%#[]|<>\"\\^`{} é\U0001f5fc\x7f"


def theirs(request: dict[str, Any], url: str) -> dict[str, str]:
    """The same request as botocore signs it."""
    keys = Credentials(request["keyId"], request["secretKey"], request["sessionToken"] or None)
    asked = AWSRequest(method=request["method"], url=url, data=bytes(request["body"]))
    signer = auth.SigV4Auth(keys, request["service"], request["region"])
    now = datetime.fromtimestamp(request["time"] / 1000, UTC).replace(tzinfo=None)
    with patch.object(auth, "get_current_datetime", lambda: now):
        signer.add_auth(asked)
    return {name.lower(): str(value) for name, value in asked.headers.items()}


def requests(seed: int) -> Iterator[dict[str, Any]]:
    """Any paths, queries, bodies, keys and times, the same ones for the same seed."""
    chance = random.Random(seed)

    def text(longest: int) -> str:
        return "".join(chance.choices(CHARACTERS, k=chance.randrange(longest)))

    for _ in range(500):
        pairs = [
            chance.choice([quote(text(8)) + "=" + quote(text(20), safe="/!'()*"), text(12)])
            for _ in range(chance.randrange(5))
        ]
        query = "&".join([*pairs, "end=1"])  # a URL ends before a space that nothing follows
        yield {
            "method": chance.choice(["GET", "POST", "OPTIONS", "HEAD"]),
            "address": f"{chance.choice(HOSTS)}/api/{quote(text(20), safe='/+*()')}?{query}",
            "body": list(chance.randbytes(chance.choice([0, 1, 100, 5000]))),
            "time": int((datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
                milliseconds=chance.randrange(10**11))).timestamp() * 1000),
            "keyId": "AKID" + text(4).encode().hex(),
            "secretKey": text(40),
            "sessionToken": chance.choice(["", text(300).encode().hex()]),
            "region": chance.choice(["eu-west-1", "us-gov-west-1"]),
            "service": chance.choice(["lambda", "execute-api"]),
        }  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_any_request_is_signed_as_botocore_signs_it(seed: int) -> None:
    """A thousand requests, every header of the signature alike."""
    asked = list(requests(seed))
    for request, ours in zip(asked, sign_requests(asked), strict=True):
        expected = theirs(request, ours.pop("url"))
        assert ours == {name: expected[name] for name in ours}, json.dumps(request)
        assert ("x-amz-security-token" in ours) == bool(request["sessionToken"])


def test_respelling_a_query_changes_no_parameter() -> None:
    """A server that decodes it finds the same names and values in the same order, byte for byte."""
    asked = list(requests(3))
    for request, ours in zip(asked, sign_requests(asked), strict=True):
        before, after = (urlsplit(url).query for url in (request["address"], ours["url"]))
        # What a browser or Deno makes of characters that no URL has, before anything of ours runs.
        before = quote(before, safe="%!$&'()*+,;=:@/?[]|\\^`{}~")
        decoded = [
            parse_qsl(query, keep_blank_values=True, encoding="latin-1")
            for query in (before, after)
        ]
        assert decoded[0] == decoded[1], request["address"]
        assert set(after) <= set(quote(after, safe="%&=~")), after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("query=a%20b&streaming=true", "query=a%20b&streaming=true"),
        ("query=a+b", "query=a%20b"),
        ("query=a%2bb%7e", "query=a%2Bb~"),
        ("query=it's!", "query=it%27s%21"),
        ("a&b=&&c==", "a=&b=&c=%3D"),
        ("bad=%zz%FF%", "bad=%25zz%FF%25"),
    ],
)
def test_a_query_is_spelled_as_aws_compares_it(before: str, after: str) -> None:
    """Spaces, marks and letters that may be written in two ways are written in one."""
    request = next(requests(4)) | {"address": f"https://x.example/?{before}"}
    assert urlsplit(sign_requests([request])[0]["url"]).query == after
