"""What a page offers to ask of documents that are one's own."""

import json
from collections.abc import Sequence

import pytest

from services.settings import Settings
from services.streaming.app import App
from services.streaming.samples import LONGEST_SAMPLE, choose_samples, handle_samples

pytestmark = pytest.mark.anyio


class _Shelf:
    """A library with two headings."""

    async def retrieve(self, *_: object, **__: object) -> tuple[()]:
        """Find nothing."""
        return ()

    async def list_headings(self) -> Sequence[str]:
        """The two."""
        return ("Ferries: Fares", "Ferries: Hours")


async def test_documents_of_ones_own_are_sampled() -> None:
    """By their headings; the shipped ones have the page's own samples."""
    for settings, samples in (
        (Settings(index="elsewhere"), ["Ferries: Fares", "Ferries: Hours"]),
        (Settings(), []),
    ):
        reply = await handle_samples(app=App(settings, context=_Shelf()))
        assert json.loads(bytes(reply.body)) == {"samples": samples}


@pytest.mark.parametrize(
    ("headings", "samples"),
    [
        ((), []),
        (("A: 1", "A: 2", "A: 3", "A: 4", "A: 5", "A: 6"), ["A: 1", "A: 3", "A: 5"]),
        (("A: 1", "A: 2", "B: 1", "C: 1", "D: 1", "E: 1", "F: 1"), ["A: 1", "C: 1", "E: 1"]),
        (("A: " + "x" * LONGEST_SAMPLE, "A: 2"), ["A: 2"]),
    ],
)
def test_samples_come_from_all_over(headings: Sequence[str], samples: list[str]) -> None:
    """Of one document several, of many documents one each; nothing too long for a button."""
    assert choose_samples(headings) == samples
