"""An index in S3 Vectors: it answers like the files, and turns over in one step."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.aws import Aws, aws
from services.context import RetrievalError
from services.context.index.index import open_index
from services.context.stores.folder import OpenFiles
from services.context.stores.s3_vectors import FRESH, S3VectorsStore
from services.context.stores.s3_vectors_writer import publish_vectors
from services.context.stores.vector_format import (
    RECORD,
    VectorLocation,
    pack_rows,
    read_record,
    read_vectors_url,
    unpack_rows,
)
from services.errors import SetupError
from tests.services.context.cloud import client_of, killed_everywhere

pytestmark = pytest.mark.anyio

Run = Callable[..., Any]

QUESTIONS = ("Which museum shows a polar ship?", "Does it rain in Bergen?", "E-1042", "trams")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Aws]:
    """One fake AWS for the module; every test has a vector bucket of its own."""
    with aws() as running:
        yield running


@dataclass(frozen=True)
class VectorBucket:
    """A vector bucket, an index in it, and who embeds its questions."""

    cloud: Aws
    client: Any
    place: VectorLocation
    embedder: Any

    def publish(self, folder: Path, client: Any = None) -> bool:
        """Put an index there."""
        return publish_vectors(folder, self.place, client=lambda _: client or self.client)

    def another(self) -> "VectorBucket":
        """The same with an index of its own."""
        return replace(self, place=replace(self.place, index=f"i{secrets.token_hex(8)}"))

    async def find_all(self, *, opened: Any = None) -> list[list[tuple[str, str]]]:
        """What the questions find there: URIs and texts."""
        index = opened or S3VectorsStore(self.place, client=lambda _: self.client).open()
        return [await answer_question(index, self.embedder, question) for question in QUESTIONS]

    def everything(self) -> list[str]:
        """The keys of all that is there."""
        return [one["key"] for one in self.client.list_vectors(**self.place.names)["vectors"]]


@pytest.fixture
def vector_bucket(cloud: Aws, embedder: Any) -> VectorBucket:
    """A new vector bucket."""
    client = client_of(cloud.url, "s3vectors")
    bucket = f"vectors-{secrets.token_hex(8)}"
    client.create_vector_bucket(vectorBucketName=bucket)
    return VectorBucket(cloud, client, VectorLocation(bucket, "passages"), embedder)


async def answer_question(index: Any, embedder: Any, question: str) -> list[tuple[str, str]]:
    """What one question finds."""
    vector = (await embedder.embed([question]))[0]
    return [(passage.uri, passage.text) for passage in index.find(question, vector, 3)]


async def in_files(folder: Path, embedder: Any) -> list[list[tuple[str, str]]]:
    """What the questions find in the files."""
    with closing(OpenFiles(open_index(folder))) as files:
        return [await answer_question(files, embedder, question) for question in QUESTIONS]


async def test_it_answers_as_the_files_do(
    run: Run, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """The same passages in the same order, with sentences, scores and coverage."""
    await run()
    assert vector_bucket.publish(tmp_path / "index")
    place = S3VectorsStore(vector_bucket.place, client=lambda _: vector_bucket.client)
    assert (place.inspect().passages, place.inspect().documents) == (6, 3)
    assert await vector_bucket.find_all() == await in_files(
        tmp_path / "index", vector_bucket.embedder
    )
    vector = (await vector_bucket.embedder.embed([QUESTIONS[0]]))[0]
    with closing(OpenFiles(open_index(tmp_path / "index"))) as files:
        (own, *_) = files.find(QUESTIONS[0], vector, 3)
    (first, *_) = place.open().find(QUESTIONS[0], vector, 3)
    assert (first.id, first.title, first.text) == (own.id, own.title, own.text)
    assert first.score == pytest.approx(own.score, abs=1e-4)
    assert [one.text for one in first.sentences] == [one.text for one in own.sentences]
    for one, other in zip(first.sentences, own.sentences, strict=True):
        assert one.similarity == pytest.approx(other.similarity, abs=0.02)
        np.testing.assert_allclose(np.linalg.norm(one.vector), 1, atol=1e-3)


async def test_only_what_changed_is_written(
    run: Run, docs: Path, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """And nothing at all when nothing did."""
    await run()
    vector_bucket.publish(tmp_path / "index")
    vector_bucket.cloud.calls.clear()
    assert not vector_bucket.publish(tmp_path / "index")
    assert not {"PutVectors", "DeleteVectors"} & set(vector_bucket.cloud.calls)
    before = set(vector_bucket.everything())
    (docs / "notes.txt").write_text("Changed.\n")
    await run()
    assert vector_bucket.publish(tmp_path / "index")
    assert (
        len(before & set(vector_bucket.everything())) == 5 + 1
    )  # the passages of the others, the record
    assert await vector_bucket.find_all() == await in_files(
        tmp_path / "index", vector_bucket.embedder
    )


async def test_a_reader_of_the_generation_before_misses_nothing(
    run: Run, docs: Path, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """Until it looks at the record again; what ended goes with the ingest after."""
    await run()
    vector_bucket.publish(tmp_path / "index")
    old = await in_files(tmp_path / "index", vector_bucket.embedder)
    now = 0.0
    reader = S3VectorsStore(
        vector_bucket.place, client=lambda _: vector_bucket.client, clock=lambda: now
    ).open()
    (docs / "notes.txt").write_text("Error code E-1042 is not used any more.\n")
    (docs / "cities" / "bergen.html").unlink()
    await run()
    vector_bucket.publish(tmp_path / "index")
    assert await vector_bucket.find_all(opened=reader) == old
    now = FRESH + 1
    assert await vector_bucket.find_all(opened=reader) == await in_files(
        tmp_path / "index", vector_bucket.embedder
    )
    size = len(vector_bucket.everything())
    vector_bucket.publish(tmp_path / "index")
    assert len(vector_bucket.everything()) == size - 3


async def test_an_ingest_killed_at_any_call_leaves_the_old_index_whole(
    run: Run, docs: Path, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """Whatever was written by then; the next run ends it, and leaves nothing of it behind."""
    await run(index=tmp_path / "old")
    (docs / "notes.txt").write_text("Trams are shy.\n")
    (docs / "cities" / "bergen.html").unlink()
    (docs / "new.md").write_text("# New\n\nA museum of rain.\n")
    await run(index=tmp_path / "new")
    old = await in_files(tmp_path / "old", vector_bucket.embedder)
    new = await in_files(tmp_path / "new", vector_bucket.embedder)
    there = vector_bucket
    seen: list[VectorBucket] = []

    def work(client: Any) -> None:
        nonlocal there
        there = vector_bucket.another()
        there.publish(tmp_path / "old")
        there.publish(tmp_path / "new", client)

    # The index, the record, the list; what goes, its copy, its end; what is new; the record.
    deaths = killed_everywhere(vector_bucket.client, work, lambda: seen.append(there))
    assert deaths == len(seen) == 2 * 8
    for number, one in enumerate(seen):
        assert await one.find_all() == (new if number == len(seen) - 1 else old), number
        one.publish(tmp_path / "new")
        assert await one.find_all() == new
        one.publish(tmp_path / "old")
        one.publish(tmp_path / "old")
        assert await one.find_all() == old
        assert len(one.everything()) == 6 + 1


async def test_a_change_of_mind_after_a_cut_is_followed(
    run: Run, docs: Path, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """Documents that changed again since the cut: nothing of the middle is ever found."""
    await run(index=tmp_path / "old")
    (docs / "notes.txt").write_text("Middle.\n")
    await run(index=tmp_path / "middle")
    old = await in_files(tmp_path / "old", vector_bucket.embedder)
    there = vector_bucket
    seen: list[VectorBucket] = []

    def work(client: Any) -> None:
        nonlocal there
        there = vector_bucket.another()
        there.publish(tmp_path / "old")
        there.publish(tmp_path / "middle", client)

    killed_everywhere(vector_bucket.client, work, lambda: seen.append(there))
    for one in seen:
        one.publish(tmp_path / "old")
        assert await one.find_all() == old


async def test_the_limits_of_the_service_are_kept(
    run: Run, docs: Path, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """A passage of very many sentences, long titles, more passages than one request takes."""
    lines = "\n\n".join(f"{letter}{number}" for number in range(90) for letter in "ab")
    (docs / "list.md").write_text("# " + "Title " * 60 + "\n\n" + lines)
    for number in range(130):
        (docs / f"{number:03}.md").write_text(f"# Place {number}\n\nPlace {number} has a tower.\n")
    vector_bucket.embedder.dimension = 1024
    vector_bucket.embedder.model = "words-1024"
    await run()
    vector_bucket.publish(tmp_path / "index")
    index = S3VectorsStore(vector_bucket.place, client=lambda _: vector_bucket.client).open()
    (first, *_) = await answer_question(index, vector_bucket.embedder, "Place 77 tower")
    assert first[0] == "077.md#place-77"
    vector = (await vector_bucket.embedder.embed(["a1 b1 a2 b2"]))[0]
    (word_set, *_) = index.find("a1 b1 a2 b2", vector, 1)
    assert word_set.uri.startswith("list.md")
    assert "".join(one.text for one in word_set.sentences).replace(
        "\n", ""
    ) == word_set.text.replace("\n", "")


async def test_another_dimension_wants_another_index(
    run: Run, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """It cannot be changed, and says so before anything is written."""
    await run()
    vector_bucket.client.create_index(
        **vector_bucket.place.names, dataType="float32", dimension=32, distanceMetric="cosine"
    )
    with pytest.raises(SetupError, match="for vectors of 32 numbers"):
        vector_bucket.publish(tmp_path / "index")
    assert vector_bucket.everything() == []


async def test_other_peoples_vectors_are_left_alone(
    run: Run, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """An index that holds something else is not written into."""
    await run()
    vector_bucket.client.create_index(
        **vector_bucket.place.names, dataType="float32", dimension=64, distanceMetric="cosine"
    )
    theirs = [{"key": "theirs", "data": {"float32": [1.0] * 64}}]
    vector_bucket.client.put_vectors(**vector_bucket.place.names, vectors=theirs)
    with pytest.raises(SetupError, match="other vectors"):
        vector_bucket.publish(tmp_path / "index")
    assert vector_bucket.everything() == ["theirs"]


async def test_what_is_not_there_says_how_to_make_it(
    run: Run, tmp_path: Path, vector_bucket: VectorBucket
) -> None:
    """No bucket, no index, nothing in it, or damage."""
    await run()
    nowhere = VectorLocation("no-such-bucket", "passages")
    with pytest.raises(SetupError, match="create-vector-bucket"):
        publish_vectors(tmp_path / "index", nowhere, client=lambda _: vector_bucket.client)
    index = S3VectorsStore(vector_bucket.place, client=lambda _: vector_bucket.client)
    with pytest.raises(SetupError, match="make ingest"):
        index.inspect()
    vector_bucket.publish(tmp_path / "index")
    record = {"key": RECORD, "data": {"float32": [1.0] * 64}, "metadata": {"text": "{}"}}
    vector_bucket.client.put_vectors(**vector_bucket.place.names, vectors=[record])
    with pytest.raises(SetupError, match="damaged"):
        read_record(vector_bucket.client, vector_bucket.place)


def test_no_service_there_is_worth_another_try(vector_bucket: VectorBucket) -> None:
    """The service is down; the installation is not at fault."""
    nothing_there = client_of("http://127.0.0.1:1", "s3vectors")
    with pytest.raises(RetrievalError):
        S3VectorsStore(vector_bucket.place, client=lambda _: nothing_there).inspect()


@pytest.mark.parametrize("dimension", [64, 384, 3072])
def test_a_packed_vector_is_nearly_itself(dimension: int) -> None:
    """A byte a number moves a cosine by less than 0.002, and its length not at all."""
    random = np.random.default_rng(dimension)
    rows = random.standard_normal((20, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    again = unpack_rows(pack_rows(rows), dimension).astype(np.float32)
    asked = rows[0]
    np.testing.assert_allclose(again @ asked, rows @ asked, atol=2e-3)


@pytest.mark.parametrize("url", ["s3vectors://", "s3vectors://bucket", "s3vectors://B_x/i"])
def test_what_is_no_place_is_said_so(url: str) -> None:
    """Before anything is asked."""
    assert read_vectors_url("s3vectors://my-bucket/my-index") == VectorLocation(
        "my-bucket", "my-index"
    )
    with pytest.raises(SetupError, match="s3vectors://bucket/index"):
        read_vectors_url(url)
