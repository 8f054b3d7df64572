"""Context for a question: the passages that may hold its answer.

One `Library` serves all runs of a process. It refuses to know where questions come from and
what answers are made of. Embedding and searching happen in worker threads; the event loop
never computes and a burst of questions waits in line.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from ..embedding import Embedder, OpenableAhead
from ..errors import RiverrunError
from ..passages import DocumentText, Passage
from ..progress import Progress, Report, no_report
from ..small_talk import SmallTalk, find_small_talk
from ..wording import describe_visit, read_comparison
from .followups import complete
from .index.manifest import check_model
from .stores.store import Facts, IndexStore, OpenIndex, RetrievalError
from .words import is_english, is_foreign

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

MOST_PASSAGES = 20

KNOWN_QUESTIONS = 512
"""Questions whose vectors are kept: a page offers the same ones to all of its readers."""

NOT_SEARCHED: frozenset[SmallTalk | None] = frozenset(
    {"greeting", "thanks", "nod", "goodbye", "about", "sources", "joke"}
)
"""What no document answers. Wishes about the last answer are searched again with its question."""


class Library:
    """The documents of one index. Safe to ask from many tasks at once; `close` it at the end."""

    def __init__(self, store: IndexStore, facts: Facts | None, embedder: Embedder) -> None:
        self._store = store
        self._facts = facts
        self._embedder = embedder
        self._index: OpenIndex | None = None
        self._vectors: dict[str, NDArray[np.float32]] = {}
        # One thread of our own: it alone opens and asks the index, so neither needs a lock.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")

    @property
    def passage_count(self) -> int:
        """How many passages there are to search; 0 before a remote index was opened."""
        return self._facts.passages if self._facts else 0

    def open_ahead(self) -> None:
        """Begin to open the model and the index, in their own threads.

        What fails is tried again, and told, by the first question.
        """
        if self._facts is None:
            return  # what is remote is asked for by a question alone
        with suppress(RuntimeError):  # closed
            self._thread.submit(self._ensure_open)
            if isinstance(self._embedder, OpenableAhead):
                self._embedder.open_ahead()

    async def prepare(self) -> None:
        """Open the model and the index now, so that the first question need not wait.

        Raises `SetupError` for what `open_context` could not see without reading everything.
        """
        await self._open()
        await self._embed("ready")

    async def check(self) -> None:
        """Look whether a remote index is there and made with our model. Asks no model.

        Raises `SetupError` or `RetrievalError`. What is on this machine was checked when opened.
        """
        if self._store.is_remote:
            await self._run_in_thread(self._inspect)

    async def retrieve(
        self,
        question: str,
        top_k: int,
        *,
        previous: str | None = None,
        report: Report = no_report,
    ) -> tuple[Passage, ...]:
        """Return up to `top_k` (1 to 20) passages for `question`, best first.

        `previous` holds the earlier questions of the conversation, one a line, the newest
        last; a question that cannot stand alone is searched together with them. Nothing is found
        for small talk.

        Raises `RetrievalError` when searching fails, `SetupError` when the installation is at
        fault.
        """
        if not 1 <= top_k <= MOST_PASSAGES:
            raise RiverrunError(
                f"top_k must be from 1 to {MOST_PASSAGES}.", code="validation_error"
            )
        kind = find_small_talk(question)
        if kind in NOT_SEARCHED or (kind is not None and not previous):
            return ()
        if self._facts is None:
            report(Progress("Opening the documents", 0.0))
        try:
            index = await self._open()
            report(Progress(f"Searching {_count(self.passage_count, 'passage')}", 0.0))
            text = complete(question, previous, index.titles)
            if kind is not None and text == question:
                return ()
            if not is_foreign(question):
                corrected = await self._run_in_thread(lambda: index.correct(text))
                if corrected != text:
                    report(Progress(f"Reading this as: {corrected}"))
                text = corrected
            found = await self._find(index, text, top_k)
        except RiverrunError:
            raise
        except Exception as error:
            raise RetrievalError(
                "The documents could not be searched. Please ask again in a moment."
            ) from error
        knows_others = getattr(self._embedder, "is_multilingual", False)
        found = [
            replace(
                one,
                asked=text,
                shares_words=is_english(question) or not knows_others,
                is_foreign=is_foreign(question) and not knows_others,
            )
            for one in found
        ]
        documents = len({passage.uri.partition("#")[0] for passage in found})
        report(
            Progress(
                f"Found {_count(len(found), 'passage')} in {_count(documents, 'document')}",
                1.0,
                {"passages": len(found), "documents": documents},
            )
        )
        return tuple(found)

    async def _find(self, index: OpenIndex, text: str, top_k: int) -> list[Passage]:
        """Find passages for a question; of a comparison for each side, of a plan what to see."""
        comparison = read_comparison(text)
        searches = [text]
        if comparison is not None:
            searches += comparison.searches
        elif visit := describe_visit(text):
            searches = [text, visit]
        vectors = await asyncio.gather(*map(self._embed, searches))
        return await self._run_in_thread(
            lambda: _merge(
                [
                    index.find(one, vector, top_k)
                    for one, vector in zip(searches, vectors, strict=True)
                ],
                top_k,
            )
        )

    async def list_documents(self) -> Sequence[str]:
        """Return the titles of the documents, in order; none where the index cannot list them."""
        try:
            return (await self._run_in_thread(self._ensure_open)).document_titles
        except RiverrunError:
            raise
        except Exception as error:
            raise RetrievalError("The documents could not be listed. Please try again.") from error

    async def list_headings(self) -> Sequence[str]:
        """Return what stands over the passages, in order; none where the index cannot list it."""
        try:
            return (await self._run_in_thread(self._ensure_open)).headings
        except RiverrunError:
            raise
        except Exception as error:
            raise RetrievalError("The documents could not be listed. Please try again.") from error

    async def read_document(self, passage: str) -> DocumentText | None:
        """Return the indexed text of the document that the passage with this id stands in.

        None when the index has no such passage, or cannot list a document's. Raises what
        `retrieve` raises.
        """
        try:
            index = await self._run_in_thread(self._ensure_open)
            return await self._run_in_thread(lambda: index.read_document(passage))
        except RiverrunError:
            raise
        except Exception as error:
            raise RetrievalError("The document could not be read. Please try again.") from error

    def close(self) -> None:
        """Close the index. A search in hand is finished, those in line are dropped."""
        self._thread.shutdown(cancel_futures=True)
        if self._index is not None:
            self._index.close()
            self._index = None

    async def _open(self) -> OpenIndex:
        """Return the open index; open it, and begin to open the model, at the first question."""
        if self._index is not None:
            return self._index
        self.open_ahead()
        return await self._run_in_thread(self._ensure_open)

    async def _embed(self, question: str) -> "NDArray[np.float32]":
        """Return the vector of a question; the last few hundred are known."""
        known = self._vectors.get(question)
        if known is None:
            known = (await self._embedder.embed([question], "question"))[0]
            self._vectors[question] = known
            if len(self._vectors) > KNOWN_QUESTIONS:
                del self._vectors[next(iter(self._vectors))]
        return known

    async def _run_in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _ensure_open(self) -> OpenIndex:
        if self._index is None:
            self._inspect()
            self._index = self._store.open()
        return self._index

    def _inspect(self) -> None:
        if self._facts is None:
            facts = self._store.inspect()
            check_model(self._store.name, facts, self._embedder.model, self._embedder.dimension)
            self._facts = facts


def _merge(searches: Sequence[Sequence[Passage]], top_k: int) -> list[Passage]:
    """Merge the passages of several searches: the first of each in turn, each passage once.

    They keep what the search that found them says of them, and the first one's rare words.
    """
    merged: dict[str, Passage] = {}
    for in_turn in zip_longest(*searches):
        for passage in in_turn:
            if passage is not None:
                merged.setdefault(passage.id, passage)
    rarity = {
        word: weight
        for found in searches
        for one in found[:1]
        for word, weight in one.rarity.items()
    }
    return [replace(one, rarity=rarity) for one in list(merged.values())[:top_k]]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
