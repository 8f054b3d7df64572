"""Pages of strangers that reach for a fake: it would show them what was asked of the model."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from fakes.aws import aws
from fakes.bedrock import bedrock
from fakes.hosts import leads_here
from fakes.openai import openai


@pytest.fixture(scope="module", params=[aws, bedrock, openai], ids=["aws", "bedrock", "openai"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param() as fake:
        yield fake.url


def post(url: str, hosts: list[str], **more: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.putrequest("POST", "/", skip_host=True)
        for host in hosts:
            connection.putheader("Host", host)
        connection.putheader("X-Amz-Target", "DynamoDB_20120810.ListTables")
        for name, value in more.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.putheader("Content-Length", "2")
        connection.endheaders(b"{}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil"])
def test_a_rebound_page_is_answered_by_no_fake(url: str, host: str) -> None:
    """Its name leads here, and is not ours."""
    status, body = post(url, [host])
    assert (status, b"does not answer" in body) == (403, True)


@pytest.mark.parametrize(
    "said", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "none"}]
)
def test_a_page_is_answered_by_no_fake(url: str, said: dict[str, str]) -> None:
    """By an address it needs no name; and moto would let it read."""
    status, body = post(url, ["127.0.0.1"], **said)
    assert (status, b"nor to a page" in body) == (403, True)


def test_a_name_that_leads_here_is_served(url: str) -> None:
    """localhost and addresses: no one can have them lead elsewhere."""
    for host in ("localhost:1", "127.0.0.1", "[::1]:9"):
        assert post(url, [host])[0] != 403


def test_a_bucket_may_stand_before_localhost_and_a_name_be_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first is how boto3 names a bucket, the second a container."""
    monkeypatch.setenv("RIVERRUN_ALLOWED_HOSTS", "fakes, other")
    for host in ("bucket.localhost:9003", "fakes:9003", "OTHER", None, ""):
        assert leads_here(host), host
    for host in ("fakes.example", "localhost.example", "a b", "[x]", "notlocalhost"):
        assert not leads_here(host), host
