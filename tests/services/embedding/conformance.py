"""What every embedding provider promises, as a suite that is a function of the provider."""

import asyncio
from collections.abc import Callable

import numpy as np

from services.embedding import Embedder

Open = Callable[[], Embedder]

TEXTS = [
    "Oslo: The Fram Museum shows a polar ship.",
    "Bergen: It rains often in Bergen, even in summer.",
    "Billing: A declined card is tried again three times.",
]


class Conformance:
    """Subclass it with a fixture `open_one` that gives an `Open`."""

    async def test_rows_are_unit_vectors_of_the_dimension_that_was_said(
        self, open_one: Open
    ) -> None:
        """Known before the first call, and so afterwards; nothing gives nothing."""
        embedder = open_one()
        assert embedder.model
        rows = await embedder.embed(TEXTS)
        assert rows.shape == (3, embedder.dimension)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert (await embedder.embed([])).shape == (0, embedder.dimension)

    async def test_a_text_has_one_vector_whatever_stands_beside_it(self, open_one: Open) -> None:
        """Order is kept over any number of batches; two openings agree."""
        many = [f"{TEXTS[number % 3]} {number}" for number in range(100)]
        rows = await open_one().embed(many)
        again = open_one()
        for number in (0, 63, 64, 95, 96, 99):
            alone = await again.embed([many[number]])
            np.testing.assert_allclose(rows[number], alone[0], atol=1e-5)

    async def test_a_question_is_nearest_to_the_passage_it_is_about(self, open_one: Open) -> None:
        """Vectors mean something, across the two kinds of texts."""
        embedder = open_one()
        passages = await embedder.embed(TEXTS, "passage")
        for row, question in enumerate(
            ("Which museum has a polar ship?", "Does it rain in Bergen?", "A declined card?")
        ):
            asked = await embedder.embed([question], "question")
            assert int(np.argmax(passages @ asked[0])) == row

    async def test_no_text_is_too_odd(self, open_one: Open) -> None:
        """Empty, blank, very long, and in any script."""
        odd = ["", "   ", "word " * 11_000, "日本語のテキスト", "🙂", "a\0b", "x" * 3_000]
        rows = await open_one().embed(odd)
        assert np.all(np.isfinite(rows))

    async def test_many_ask_at_once(self, open_one: Open) -> None:
        """Each gets its own."""
        embedder = open_one()
        alone = [await embedder.embed([text]) for text in TEXTS]
        together = await asyncio.gather(*(embedder.embed([TEXTS[n % 3]]) for n in range(30)))
        for number, rows in enumerate(together):
            np.testing.assert_allclose(rows, alone[number % 3], atol=1e-5)
