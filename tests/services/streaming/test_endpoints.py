"""Whole endpoints: what an answer's route does before it has read its request."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from services.errors import SetupError
from services.passages import Retriever
from services.settings import Settings
from services.streaming import App, answer_app, set_default_app
from services.streaming.question import Question

pytestmark = pytest.mark.anyio


class Ahead:
    """A library that counts how often it is opened ahead."""

    def __init__(self) -> None:
        self.opened = 0

    def open_ahead(self) -> None:
        """Count."""
        self.opened += 1


@pytest.fixture
def library() -> Iterator[Ahead]:
    """The library of this process."""
    library = Ahead()
    set_default_app(App(Settings(), context=library))  # type: ignore[arg-type]
    yield library
    set_default_app(None)


async def ask_badly(app: object) -> int:
    """Send a body that asks nothing, and return the status."""
    transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.post("/api/words", json={"query": ""})).status_code


async def test_the_library_opens_while_the_first_request_is_read(library: Ahead) -> None:
    """Once, though the request itself is refused."""
    app = answer_app("/words")
    assert [await ask_badly(app) for _ in range(3)] == [422, 422, 422]
    assert library.opened == 1


async def test_a_function_of_ones_own_opens_no_library(library: Ahead) -> None:
    """It may never search."""

    async def say(question: Question) -> AsyncIterator[str]:
        yield question.query

    assert await ask_badly(answer_app("/words", say)) == 422
    assert library.opened == 0


async def test_a_library_that_cannot_be_opened_refuses_no_request() -> None:
    """The answer that needs it tells."""

    class WithoutIndex(App):
        @property
        def context(self) -> Retriever:
            raise SetupError("There is no index.")

    WithoutIndex(Settings()).open_ahead()
