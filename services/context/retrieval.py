"""Context for a question: the passages that may hold its answer.

One `Library` serves all runs of a process. It refuses to know where questions come from and
what answers are made of. Embedding and searching happen in worker threads; the event loop
never computes and a burst of questions waits in line.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from services.context.followups import complete, title_words
from services.context.manifest import Manifest, check_model, check_sizes, present, read_manifest
from services.context.words import content_words
from services.embedding import Embedder, open_embedder
from services.errors import RiverrunError, SetupError
from services.passages import Passage
from services.progress import Progress, Report, unheard
from services.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from services.context.index import Index

T = TypeVar("T")

MOST_PASSAGES = 20


class RetrievalError(RiverrunError):
    """The documents could not be searched. The cause is chained, for the log."""

    code = "retrieval_failed"
    retryable = True


def open_context(settings: Settings) -> "Library":
    """Return the library `settings.index` names, after the checks that need no numpy.

    Raises `SetupError` when the index is missing, damaged, of another format or made with
    another embedding model, and when the embedder cannot be opened. The model and the arrays
    are opened on the first question, or by `Library.prepare`.
    """
    if "://" in settings.index:
        raise SetupError(
            f"RIVERRUN_INDEX={settings.index!r} is not known. It is a folder made by `make ingest`."
        )
    path = present(Path(settings.index).expanduser())
    manifest = read_manifest(path)
    check_sizes(path, manifest)
    embedder = open_embedder(settings)
    check_model(path, manifest, embedder.model, embedder.dimension)
    return Library(path, manifest, embedder)


class Library:
    """The documents of one index. Safe to ask from many tasks at once; `close` it at the end."""

    def __init__(self, path: Path, manifest: Manifest, embedder: Embedder) -> None:
        self._path = path
        self._manifest = manifest
        self._embedder = embedder
        self._index: Index | None = None
        self._titles: frozenset[str] = frozenset()
        # One thread of our own: it alone opens and asks the index, so neither needs a lock.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")

    @property
    def passage_count(self) -> int:
        """How many passages there are to search."""
        return self._manifest.passages

    @property
    def document_count(self) -> int:
        """How many documents they come from."""
        return len(self._manifest.sources)

    async def prepare(self) -> None:
        """Open the model and the index now, so that the first question need not wait.

        Raises `SetupError` for what `open_context` could not see without reading everything.
        """
        await asyncio.gather(self._embedder.embed(["ready"]), self._apart(self._opened))

    async def retrieve(
        self,
        question: str,
        top_k: int,
        *,
        previous: str | None = None,
        report: Report = unheard,
    ) -> tuple[Passage, ...]:
        """Return up to `top_k` (1 to 20) passages for `question`, best first.

        `previous` holds the earlier questions of the conversation, one a line, the newest
        last; a question that cannot stand alone is searched together with them.

        Raises `RetrievalError` when searching fails, `SetupError` when the installation is at
        fault.
        """
        if not 1 <= top_k <= MOST_PASSAGES:
            raise RiverrunError(
                f"top_k must be from 1 to {MOST_PASSAGES}.", code="validation_error"
            )
        report(Progress(f"Searching {_counted(self.passage_count, 'passage')}", 0.0))
        try:
            await self._apart(self._opened)
            text = complete(question, previous, self._titles)
            vector = (await self._embedder.embed([text]))[0]
            found = await self._apart(lambda: self._search(text, vector, top_k))
        except RiverrunError:
            raise
        except Exception as error:
            raise RetrievalError(
                "The documents could not be searched. Please ask again in a moment."
            ) from error
        documents = len({passage.uri.partition("#")[0] for passage in found})
        report(
            Progress(
                f"Found {_counted(len(found), 'passage')} in {_counted(documents, 'document')}",
                1.0,
                {"passages": len(found), "documents": documents},
            )
        )
        return tuple(found)

    def close(self) -> None:
        """Close the index. A search in hand is finished, those in line are dropped."""
        self._thread.shutdown(cancel_futures=True)
        if self._index is not None:
            self._index.close()
            self._index = None

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _opened(self) -> "Index":
        if self._index is None:
            from services.context.index import open_index

            self._index = open_index(self._path)
            self._titles = title_words(set(self._index.documents))
        return self._index

    def _search(self, text: str, vector: "NDArray[np.float32]", top_k: int) -> list[Passage]:
        from services.context.search import passages, search

        index = self._opened()
        hits = search(index, vector, content_words(text), top_k)
        return passages(index, hits, vector)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
