"""An index in S3: fetched whole or not at all, once a machine, however many processes ask."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fakes.aws import Aws, aws
from services.context import RetrievalError
from services.context.index.manifest import INDEX_FILES, MANIFEST, check_hashes, read_manifest
from services.context.stores.s3 import Location, S3Store, fetch_index, read_url
from services.context.stores.s3_writer import publish
from services.errors import SetupError
from services.settings import ROOT, SHIPPED_INDEX
from tests.services.context.cloud import client_of, killed_everywhere, new_bucket

pytestmark = pytest.mark.anyio

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Aws]:
    """One fake AWS for the module; every test has a bucket of its own."""
    with aws() as running:
        yield running


@dataclass(frozen=True)
class IndexBucket:
    """A bucket, where the index goes in it, and this machine's copy."""

    cloud: Aws
    s3: Any
    place: Location
    cache: Path

    def publish(self, folder: Path, **more: Any) -> bool:
        """Put an index there."""
        return publish(folder, self.place, client=lambda _: self.s3, **more)

    def fetch(self) -> str:
        """Fetch, check every byte, and say the digest of what was found."""
        with fetch_index(self.place, cache=self.cache, client=lambda _: self.s3) as folder:
            assert {path.name for path in folder.iterdir()} == INDEX_FILES
            check_hashes(folder, read_manifest(folder))
            return digest_of(folder)

    def copies(self) -> list[Path]:
        """What is on this machine."""
        return [path for path in self.cache.glob("*/*") if path.is_dir()]

    def names(self) -> list[str]:
        """What is in the bucket."""
        found = self.s3.list_objects_v2(Bucket=self.place.bucket)
        return [one["Key"] for one in found["Contents"]]


@pytest.fixture
def index_bucket(cloud: Aws, tmp_path: Path) -> IndexBucket:
    """A new bucket, and nothing of it on this machine."""
    s3 = client_of(cloud.url, "s3")
    return IndexBucket(cloud, s3, Location(new_bucket(s3), "guides/city"), tmp_path / "cache")


def digest_of(folder: Path) -> str:
    """What tells one index from another."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


async def test_what_was_published_is_what_is_fetched(
    run: Run, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """Byte for byte; a second time nothing is sent, and one question is asked."""
    await run()
    assert index_bucket.publish(tmp_path / "index")
    assert index_bucket.fetch() == digest_of(tmp_path / "index")
    index_bucket.cloud.calls.clear()
    assert index_bucket.fetch() == digest_of(tmp_path / "index")
    assert index_bucket.cloud.calls == ["GET"]
    assert not index_bucket.publish(tmp_path / "index")


async def test_a_new_index_is_noticed_and_the_old_one_makes_room(
    run: Run, docs: Path, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """By its ETag."""
    await run()
    index_bucket.publish(tmp_path / "index")
    index_bucket.fetch()
    (docs / "notes.txt").write_text("Changed.\n")
    await run()
    index_bucket.publish(tmp_path / "index")
    assert index_bucket.fetch() == digest_of(tmp_path / "index")
    assert [path.name for path in index_bucket.copies()] == [digest_of(tmp_path / "index")]


async def test_an_ingest_killed_at_any_call_leaves_the_old_index_whole(
    run: Run, docs: Path, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """Or the new one, once its manifest is there; the next run brings it to its end."""
    await run(index=tmp_path / "old")
    (docs / "notes.txt").write_text("Changed.\n")
    await run(index=tmp_path / "new")
    old, new = digest_of(tmp_path / "old"), digest_of(tmp_path / "new")
    seen: list[str] = []
    there = index_bucket

    def work(client: Any) -> None:
        nonlocal there
        there = replace(index_bucket, place=Location(new_bucket(index_bucket.s3), "guide"))
        there.publish(tmp_path / "old")
        publish(tmp_path / "new", there.place, client=lambda _: client)

    def look() -> None:
        seen.append(there.fetch())
        there.publish(tmp_path / "new")
        assert there.fetch() == new

    # The manifest is read; three files are looked for and sent; the manifest is sent.
    assert killed_everywhere(index_bucket.s3, work, look) == 2 * (1 + 3 * 2 + 1)
    assert seen == [old] * 15 + [new]


async def test_a_fetch_killed_at_any_call_leaves_nothing_half(
    run: Run, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """The next one fetches again, and finds the whole."""
    await run()
    index_bucket.publish(tmp_path / "index")

    def work(client: Any) -> None:
        with fetch_index(index_bucket.place, cache=tmp_path / "cut", client=lambda _: client):
            pass

    def nothing_half() -> None:
        folders = [path for path in (tmp_path / "cut").glob("*/*") if path.is_dir()]
        assert all((path / MANIFEST).exists() for path in folders)

    assert killed_everywhere(index_bucket.s3, work, nothing_half) >= 2
    index_bucket.fetch()


async def test_files_no_manifest_names_are_swept_but_not_at_once(
    run: Run, docs: Path, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """Those of the index before stay for who is fetching them; other people's things stay."""
    index_bucket.s3.put_object(
        Bucket=index_bucket.place.bucket, Key=index_bucket.place.key("notes.txt"), Body=b"mine"
    )
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for text in ("One.\n", "Two.\n", "Three.\n"):
        (docs / "notes.txt").write_text(text)
        await run()
        index_bucket.publish(tmp_path / "index", now=lambda: tomorrow)

    assert len(index_bucket.names()) == 2 + 3 + 3
    assert index_bucket.place.key("notes.txt") in index_bucket.names()
    (docs / "notes.txt").write_text("Four.\n")
    await run()
    index_bucket.publish(tmp_path / "index")
    assert len(index_bucket.names()) == 2 + 3 + 3 + 3


async def test_of_two_ingests_at_once_one_is_told(
    run: Run, docs: Path, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """The slower one changes nothing."""
    await run()
    index_bucket.publish(tmp_path / "index")
    (docs / "notes.txt").write_text("Theirs.\n")
    await run(index=tmp_path / "theirs")
    (docs / "notes.txt").write_text("Ours.\n")
    await run()

    class Overtaken:
        def __getattr__(self, name: str) -> Any:
            return getattr(index_bucket.s3, name)

        def head_object(self, **request: Any) -> Any:
            index_bucket.publish(tmp_path / "theirs")
            return index_bucket.s3.head_object(**request)

    with pytest.raises(SetupError, match="Another ingest"):
        publish(tmp_path / "index", index_bucket.place, client=lambda _: Overtaken())


async def test_an_index_replaced_while_it_is_fetched_is_read_again(
    run: Run, docs: Path, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """The files of the manifest that was read are gone: the manifest of now is right."""
    await run()
    index_bucket.publish(tmp_path / "index")
    bucket = S3Store(index_bucket.place, cache=index_bucket.cache, client=lambda _: index_bucket.s3)
    bucket.inspect()
    for one in index_bucket.s3.list_objects_v2(Bucket=index_bucket.place.bucket)["Contents"]:
        index_bucket.s3.delete_object(Bucket=index_bucket.place.bucket, Key=one["Key"])
    (docs / "notes.txt").write_text("Changed.\n")
    await run()
    index_bucket.publish(tmp_path / "index")
    opened = bucket.open()
    assert opened.index.manifest == read_manifest(tmp_path / "index")
    opened.close()


@pytest.mark.parametrize("damage", ["bytes", "short", "manifest"])
async def test_damage_in_s3_is_never_used(
    run: Run, tmp_path: Path, damage: str, index_bucket: IndexBucket
) -> None:
    """And nothing of it stays behind."""
    await run()
    index_bucket.publish(tmp_path / "index")
    file = read_manifest(tmp_path / "index").files["vectors.npy"]
    data = (tmp_path / "index" / "vectors.npy").read_bytes()
    key = index_bucket.place.key(file.sha256, "vectors.npy")
    if damage == "bytes":
        index_bucket.s3.put_object(
            Bucket=index_bucket.place.bucket, Key=key, Body=data[:-1] + bytes([data[-1] ^ 1])
        )
    elif damage == "short":
        index_bucket.s3.put_object(Bucket=index_bucket.place.bucket, Key=key, Body=data[:-1])
    else:
        body = (tmp_path / "index" / MANIFEST).read_bytes().replace(b"words-64", b"words-65")
        index_bucket.s3.put_object(
            Bucket=index_bucket.place.bucket,
            Key=index_bucket.place.key(MANIFEST),
            Body=body,
            Metadata={"sha256": digest_of(tmp_path / "index")},
        )
    with pytest.raises(SetupError, match="damaged"):
        index_bucket.fetch()
    assert not index_bucket.copies()


async def test_a_damaged_copy_on_this_machine_is_fetched_again(
    run: Run, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """A disk that was full, or a process that was killed."""
    await run()
    index_bucket.publish(tmp_path / "index")
    index_bucket.fetch()
    (copy,) = index_bucket.copies()
    os.truncate(copy / "vectors.npy", 10)
    index_bucket.fetch()
    (copy / MANIFEST).write_text("{}")
    index_bucket.fetch()
    (copy.parent / "current.json").write_text("nonsense")
    index_bucket.fetch()


async def test_threads_that_fetch_at_once_fetch_once(
    run: Run, tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """One works, the others wait and find it done."""
    await run()
    index_bucket.publish(tmp_path / "index")
    index_bucket.cloud.calls.clear()
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: index_bucket.fetch(), range(8)))
    assert digests == {digest_of(tmp_path / "index")}
    assert len(index_bucket.cloud.calls) == 8 + 3


def test_a_process_killed_in_the_middle_leaves_the_others_a_whole_index(
    tmp_path: Path, index_bucket: IndexBucket
) -> None:
    """SIGKILL while its bytes come in; then two at once."""
    index_bucket.publish(SHIPPED_INDEX)
    program = f"""
import os, signal, sys
from services.context.stores import s3
real = s3.check_hashes
if sys.argv[1] == "die":
    s3.check_hashes = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
place = s3.Location({index_bucket.place.bucket!r}, {index_bucket.place.prefix!r})
bucket = s3.S3Store(place, cache=s3.Path({str(tmp_path)!r}))
opened = bucket.open()
print(opened.index.manifest.passages)
"""
    environ = {**os.environ, "AWS_ENDPOINT_URL": index_bucket.cloud.url}

    def start_program(how: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program, how],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
        )

    dying = start_program("die")
    dying.communicate()
    assert dying.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*/.part-*"))
    both = [start_program("live"), start_program("live")]
    passages = read_manifest(SHIPPED_INDEX).passages
    assert [process.communicate()[0].strip() for process in both] == [str(passages)] * 2
    assert not list(tmp_path.glob("*/.part-*"))


def test_no_index_says_how_to_make_one(index_bucket: IndexBucket) -> None:
    """No object, or no bucket."""
    with pytest.raises(SetupError, match="make ingest"):
        index_bucket.fetch()
    nowhere = S3Store(Location("no-such-bucket-here", ""), client=lambda _: index_bucket.s3)
    with pytest.raises(SetupError, match="make ingest"):
        nowhere.inspect()


def test_no_service_there_is_worth_another_try(index_bucket: IndexBucket) -> None:
    """The service is down; the installation is not at fault."""
    nothing_there = client_of("http://127.0.0.1:1", "s3")
    bucket = S3Store(index_bucket.place, cache=index_bucket.cache, client=lambda _: nothing_there)
    for call in (bucket.inspect, bucket.open):
        with pytest.raises(RetrievalError) as caught:
            call()
        assert caught.value.retryable


def test_a_full_disk_is_one_message(
    index_bucket: IndexBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what to raise."""
    index_bucket.publish(SHIPPED_INDEX)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.context.stores.s3.check_hashes", full)
    with pytest.raises(SetupError, match="EphemeralStorage"):
        S3Store(
            index_bucket.place, cache=index_bucket.cache, client=lambda _: index_bucket.s3
        ).open()


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://my-bucket", "my-bucket", ""),
        ("s3://my-bucket/", "my-bucket", ""),
        ("s3://my-bucket/a/b/", "my-bucket", "a/b"),
        ("s3://my.bucket/guide", "my.bucket", "guide"),
    ],
)
def test_a_place_is_read_from_its_url(url: str, bucket: str, prefix: str) -> None:
    """With or without a slash at its end."""
    assert read_url(url) == Location(bucket, prefix)


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///x", "s3://My_Bucket/x", "s3://b?x=1", "s3://a/b#c"]
)
def test_what_is_no_place_is_said_so(url: str) -> None:
    """Before anything is asked."""
    with pytest.raises(SetupError, match="s3://bucket/prefix"):
        read_url(url)
