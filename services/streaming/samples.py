"""What one's own documents can be asked: a few of their headings, for who sees them first."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from starlette.responses import Response

from ..errors import RiverrunError
from ..settings import SHIPPED_INDEX
from .app import App, default_app
from .http.responses import JSONAnswer, error_response

MOST_SAMPLES = 3
LONGEST_SAMPLE = 90


@runtime_checkable
class HeadingLister(Protocol):
    """A library that can list its headings; `services.context.Library` is one."""

    async def list_headings(self) -> Sequence[str]:
        """Return what stands over the passages: `document: section`."""
        ...


async def handle_samples(*, app: App | None = None) -> Response:
    """Return samples of the documents; none of those that ship, for which the page has its own."""
    app = app or default_app()
    headings: Sequence[str] = ()
    try:
        if app.settings.index != str(SHIPPED_INDEX) and isinstance(app.context, HeadingLister):
            headings = await app.context.list_headings()
    except RiverrunError as error:
        return error_response(error)
    return JSONAnswer({"samples": choose_samples(headings)})


def choose_samples(headings: Sequence[str]) -> list[str]:
    """Choose a few headings: of as many documents as there are, and from all over them."""
    short = [heading for heading in headings if len(heading) <= LONGEST_SAMPLE]
    by_document: dict[str, list[str]] = {}
    for heading in short:
        by_document.setdefault(heading.partition(": ")[0], []).append(heading)
    first = [sections[0] for sections in by_document.values()]
    return _spread(first if len(first) >= MOST_SAMPLES else short)


def _spread(values: Sequence[str]) -> list[str]:
    count = min(MOST_SAMPLES, len(values))
    return [values[place * len(values) // count] for place in range(count)]
