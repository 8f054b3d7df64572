"""A check that a stranger is a person, at a service such as Turnstile: its verify address."""

from ..public_settings import AccessSettings
from .fetch import FetchError, fetch_beside, fetch_json

_LONGEST = 4096


async def is_passed(settings: AccessSettings, answer: str, address: str) -> bool:
    """Ask the service about `answer`, which a visitor's page got from it.

    True where no service is set. A service that cannot be asked lets no one pass.
    """
    if not settings.challenge_url:
        return True
    if not answer or len(answer) > _LONGEST:
        return False
    form = {"secret": settings.challenge_secret, "response": answer}
    if address:
        form["remoteip"] = address
    try:
        said = await fetch_beside(lambda: fetch_json(settings.challenge_url, form))
    except FetchError:
        return False
    return isinstance(said, dict) and said.get("success") is True
