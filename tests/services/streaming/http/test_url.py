"""URLs that are refused before any address looks at them."""

import pytest
from starlette.requests import Request

from services.streaming.http.body import RequestError
from services.streaming.http.url import URL_LIMIT, check_url
from tests.functions.asgi import Exchange, scope_of


def request(target: str) -> Request:
    return Request(scope_of("GET", target, ()), Exchange(()).receive)


def test_a_url_over_the_limit_is_refused() -> None:
    """The path counts, and so does the question mark."""
    room = URL_LIMIT - len("/api/chat?query=")
    check_url(request("/api/chat?query=" + "x" * room))
    with pytest.raises(RequestError) as caught:
        check_url(request("/api/chat?query=" + "x" * (room + 1)))
    assert caught.value.code == "uri_too_long"


@pytest.mark.parametrize(
    "query", ["query=a&query=b", "after=1&after=2", "token=a&t%6Fken=b", "a&x=&x=", "x=%ff&x=%ff"]
)
def test_a_parameter_that_stands_twice_is_refused(query: str) -> None:
    """Two readers of the URL may each take another one: of a question, a cursor or a token."""
    with pytest.raises(RequestError) as caught:
        check_url(request(f"/api/chat?{query}"))
    assert caught.value.code == "invalid_request"
    check_url(request("/api/chat?include=a&include=b&include[]=c&include[]=d&query=x"))
