"""What no URL may be, whatever its address: too long, or with a parameter that stands twice."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from .body import RequestError

URL_LIMIT = 8 * 1024

# What may stand twice in a URL: a list, as we and as OpenAI's clients write it.
_LISTS = frozenset({"include", "include[]"})


def check_url(request: Request) -> None:
    """Refuse a URL over `URL_LIMIT` bytes, and one in which a parameter stands twice.

    Two readers of such a URL may each take another one: of a question, a cursor or a token.
    """
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    if len(path) + 1 + len(request.scope["query_string"]) > URL_LIMIT:
        raise RequestError(
            f"The URL is over {URL_LIMIT} bytes.", code="uri_too_long", hint="Use POST."
        )
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    names = [name for name, _ in pairs if name not in _LISTS]
    if len(names) > len(set(names)):
        raise RequestError("A parameter stands twice in the URL.")
