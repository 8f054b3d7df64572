"""Ingest to a distant place: incremental, resumable, and asked like the files."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.aws import Aws, aws
from fakes.bedrock import bedrock
from fakes.steps import Fake
from services import aws as clients
from services.context import Library
from services.context.ingest.build import DocumentRead, IndexWritten
from services.context.ingest.publish import IndexPublished, IndexUpload, PublishStep, ingest_to
from services.context.opening import open_store
from services.embedding import open_embedder
from services.errors import SetupError
from services.progress import Progress
from services.settings import Settings
from tests.services.context.cloud import client_of
from tests.services.context.test_main import command

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Cloud:
    """A place for an index, and the fakes behind it."""

    index: str
    aws: Aws
    bedrock: Fake


@pytest.fixture(params=["s3", "s3vectors"])
def cloud(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Cloud]:
    """Each kind of distant place, with Bedrock beside it."""
    name = f"riverrun-{secrets.token_hex(6)}"
    with aws() as running, bedrock() as model:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", model.url)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        clients.forget()
        if request.param == "s3":
            client_of(running.url, "s3").create_bucket(Bucket=name)
            yield Cloud(f"s3://{name}/guide", running, model)
        else:
            client_of(running.url, "s3vectors").create_vector_bucket(vectorBucketName=name)
            yield Cloud(f"s3vectors://{name}/guide", running, model)
        clients.forget()


Send = Callable[..., Any]


@pytest.fixture
def send(cloud: Cloud, docs: Path, tmp_path: Path, embedder: Any) -> Send:
    """Ingest the small folder to the place, and return all steps."""

    async def send(work: Path = tmp_path / "work") -> list[PublishStep]:
        async with aclosing(ingest_to(docs, cloud.index, embedder, work=work)) as steps:
            return [step async for step in steps]

    return send


async def test_documents_become_a_distant_index(send: Send, cloud: Cloud, embedder: Any) -> None:
    """Every step is told, and a library finds what is in it."""
    steps = await send()
    assert isinstance(steps[-3], IndexWritten)
    assert steps[-2:] == [IndexUpload(cloud.index), IndexPublished(cloud.index, changed=True)]
    library = Library(open_store(cloud.index), None, embedder)
    heard: list[Progress] = []
    (first, *_) = await library.retrieve("E-1042", 3, report=heard.append)
    assert first.uri == "notes.txt"
    assert [progress.description for progress in heard][:2] == [
        "Opening the documents",
        "Searching 6 passages",
    ]
    assert library._facts is not None
    assert (library.passage_count, library._facts.documents) == (6, 3)
    library.close()


async def test_a_second_ingest_embeds_and_sends_only_what_changed(
    send: Send, cloud: Cloud, docs: Path, tmp_path: Path, embedder: Any
) -> None:
    """In S3 also from a machine that was never used for it."""
    await send()
    embedder.embedded = 0
    assert (await send())[-1] == IndexPublished(cloud.index, changed=False)
    assert embedder.embedded == 0
    (docs / "notes.txt").write_text("Changed.\n")
    work = tmp_path / ("elsewhere" if cloud.index.startswith("s3:") else "work")
    steps = await send(work)
    assert [step.reused for step in steps if isinstance(step, DocumentRead)] == [True, True, False]
    assert steps[-1] == IndexPublished(cloud.index, changed=True)


async def test_another_models_index_is_refused_before_anything_is_paid(
    send: Send, cloud: Cloud, embedder: Any
) -> None:
    """On the first question, and by the check that health makes."""
    await send()
    embedder.model = "words-64-v2"
    library = Library(open_store(cloud.index), None, embedder)
    embedder.embedded = 0
    for ask in (library.check, library.prepare, lambda: library.retrieve("Oslo", 3)):
        with pytest.raises(SetupError, match=r"words-64 \(64 .*words-64-v2"):
            await ask()
    assert embedder.embedded == 0
    library.close()


async def test_vectors_of_bedrock_find_their_passages(
    cloud: Cloud, docs: Path, tmp_path: Path
) -> None:
    """Both ends through boto3, with the input types of a model that has them."""
    settings = Settings(embedding="bedrock", embedding_model="cohere.embed-v4:0")
    embedder = open_embedder(settings)
    async with aclosing(ingest_to(docs, cloud.index, embedder, work=tmp_path / "work")) as steps:
        async for _ in steps:
            pass
    library = Library(open_store(cloud.index), None, embedder)
    (first, *_) = await library.retrieve("Which museum has a polar ship?", 3)
    assert first.uri == "cities/oslo.md#museums"
    kinds = {call.body["input_type"] for call in cloud.bedrock.calls}
    assert kinds == {"search_document", "search_query"}
    library.close()
    await embedder.close()


def test_the_command_sends_and_names_the_next_one(
    cloud: Cloud, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person types it."""
    monkeypatch.setenv("RIVERRUN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RIVERRUN_EMBEDDING", "bedrock")
    done = command(docs, "--index", cloud.index)
    assert done.returncode == 0, done.stderr
    assert f": {cloud.index}\n" in done.stdout
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    told = (
        f"Now: AWS_ENDPOINT_URL={endpoint} RIVERRUN_INDEX={cloud.index} RIVERRUN_EMBEDDING=bedrock"
    )
    assert f"{told} make dev" in done.stdout
    again = command(docs, "--index", cloud.index)
    assert f": {cloud.index}, which had it all" in again.stdout


@pytest.mark.parametrize("index", ["gs://bucket/x", "s3://", "s3vectors://bucket"])
def test_a_place_that_is_none_is_one_line(docs: Path, index: str) -> None:
    """Before a document is read."""
    done = command(docs, "--index", index)
    assert done.returncode == 2
    assert index in done.stderr
    assert "Traceback" not in done.stderr
