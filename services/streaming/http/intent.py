"""Tell whether a GET was meant as a question: a browser asks for a URL for many other reasons.

Browsers say why (Fetch Metadata, `Sec-Purpose`), and no page can change what they say. Other
clients say nothing, and are taken at their word.
"""

from starlette.requests import Request

from ...errors import RiverrunError

# What `fetch` and `EventSource` say, and a person who opens a URL.
_ASKED = ("empty", "document")


class UnintendedError(RiverrunError):
    """A browser asked for this URL by itself, or a page as a part of itself."""

    code = "forbidden"

    def __init__(self) -> None:
        super().__init__("This address answers questions; it is no part of a page.")


def check_intended(request: Request) -> None:
    """Refuse a GET that a browser makes ahead, or for an image, a frame or a script."""
    headers = request.headers
    purpose = headers.get("sec-purpose", "") + headers.get("purpose", "") + headers.get("x-moz", "")
    if "prefetch" in purpose.lower() or "prerender" in purpose.lower():
        raise UnintendedError
    if (dest := headers.get("sec-fetch-dest")) is None:
        return
    site = headers.get("sec-fetch-site", "none")
    if dest not in _ASKED or (dest == "document" and site not in ("none", "same-origin")):
        raise UnintendedError
