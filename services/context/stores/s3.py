"""An index in S3: the same files, fetched once into this machine's temporary folder.

A prefix holds ``manifest.json`` and, under the hash of each file, the files it names: a manifest
is replaced in one step and what an older one names stays readable for a while. What was fetched
is checked byte for byte before it is used, and shared by all processes of this machine.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import aws
from ...aws_errors import code_of
from ...errors import SetupError
from ...json_input import parse_json
from ...temporary import open_private_folder
from ..index.manifest import (
    MANIFEST,
    Manifest,
    check_hashes,
    check_sizes,
    parse_manifest,
)
from .aws_errors import is_missing, translate_error
from .folder import OpenFiles
from .store import Facts, read_facts

PIECE = 16 * 1024 * 1024
"""Bytes of one request: several at once are faster than one connection."""

REQUESTS = 8
"""Requests at once."""

NOT_MODIFIED = frozenset({"304", "NotModified"})

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?")


SeenManifest = tuple[bytes, str] | None
"""A manifest and its ETag."""


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket and a prefix in it, without slashes at its ends; the prefix may be empty."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, *parts: str) -> str:
        """Return the key of something below the prefix."""
        return "/".join(filter(None, (self.prefix, *parts)))


def read_url(url: str) -> Location:
    """Read ``s3://bucket/prefix``. Raises `SetupError` for anything else."""
    found = _URL.fullmatch(url)
    if found is None:
        raise SetupError(f"{url!r} is no place in S3. Write it as s3://bucket/prefix.")
    return Location(found[1], (found[2] or "").strip("/"))


class S3Store:
    """The store of an index in S3. `client` makes or finds the boto3 client."""

    is_remote = True

    def __init__(
        self,
        location: Location,
        *,
        cache: Path | None = None,
        client: Callable[[str], Any] = aws.client,
    ) -> None:
        self.name = str(location)
        self._location = location
        self._cache = cache
        self._client = client
        self._seen: SeenManifest = None

    def inspect(self) -> Facts:
        """Read the manifest in S3."""
        try:
            self._seen = read_remote(self._client("s3"), self._location)
        except Exception as error:
            raise translate_error(error, self.name, "read it (s3:GetObject)") from error
        return read_facts(parse_manifest(self._seen[0], self.name))

    def open(self) -> OpenFiles:
        """Fetch what is not here yet, and open it."""
        from ..index.index import open_index

        # Seen a moment ago, and used once: what is older is asked for again.
        seen, self._seen = self._seen, None
        with fetch_index(
            self._location, cache=self._cache, client=self._client, seen=seen
        ) as folder:
            return OpenFiles(open_index(folder))


@contextmanager
def fetch_index(
    location: Location,
    *,
    cache: Path | None = None,
    client: Callable[[str], Any] = aws.client,
    seen: SeenManifest = None,
) -> Iterator[Path]:
    """Yield a folder with the index of now, whole, which stays until the block is left.

    Files that are open then stay readable. `seen` is the manifest of a moment ago. Raises
    `SetupError` when there is no index, when it is not whole or does not fit, and
    `RetrievalError` when S3 cannot be reached.
    """
    room = (cache or open_private_folder()) / hashlib.sha256(str(location).encode()).hexdigest()[
        :24
    ]
    try:
        room.mkdir(parents=True, exist_ok=True)
        with _hold_lock(room):
            yield _ensure_current(location, room, client, seen)
    except OSError as error:
        raise SetupError(
            f"The index {location} could not be kept in {room} ({error.strerror or error}). Make"
            " room: on Lambda, raise the function's EphemeralStorage."
        ) from error


def read_remote(s3: Any, location: Location, etag: str | None = None) -> tuple[bytes, str]:
    """Return the manifest in S3 and its ETag.

    Raises boto3's own errors: 304 when it is still that of `etag`, 404 when there is none.
    """
    unless = {"IfNoneMatch": etag} if etag else {}
    answer = s3.get_object(Bucket=location.bucket, Key=location.key(MANIFEST), **unless)
    text: bytes = answer["Body"].read()
    said = answer.get("Metadata", {}).get("sha256")
    if said is not None and said != hashlib.sha256(text).hexdigest():
        raise SetupError(f"The manifest of {location} is damaged: its hash differs. Ingest again.")
    return text, str(answer["ETag"])


def _ensure_current(
    location: Location, room: Path, client: Callable[[str], Any], seen: SeenManifest
) -> Path:
    """Return the folder of the index that S3 has now. The room is locked."""
    try:
        s3 = client("s3")
        text, etag = seen or _manifest_of_now(s3, location, room)
        try:
            return _ensure_whole(s3, location, room, text, etag)
        except Exception as error:
            # An ingest may have put another index in its place since the manifest was read.
            if not is_missing(error):
                raise
        return _ensure_whole(s3, location, room, *read_remote(s3, location))
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
            raise  # the disk's
        raise translate_error(error, str(location), "read it (s3:GetObject)") from error


def _manifest_of_now(s3: Any, location: Location, room: Path) -> tuple[bytes, str]:
    etag, digest = _recall(room)
    try:
        return read_remote(s3, location, etag)
    except Exception as error:
        if code_of(error) not in NOT_MODIFIED:
            raise
    return (room / digest / MANIFEST).read_bytes(), etag


def _ensure_whole(s3: Any, location: Location, room: Path, text: bytes, etag: str) -> Path:
    """Return the folder of the manifest `text`, fetched and checked if it is not here."""
    digest = hashlib.sha256(text).hexdigest()
    manifest = parse_manifest(text, str(location))
    folder = room / digest
    if not _is_whole(folder, manifest, text):
        shutil.rmtree(folder, ignore_errors=True)
    # Only one index is kept: /tmp is small, and who has an older one open keeps its files.
    for other in room.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other, ignore_errors=True)
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(prefix=".part-", dir=room) as part:
            draft = Path(part, digest)
            draft.mkdir()
            _download(s3, location, manifest, draft)
            check_hashes(draft, manifest)
            (draft / MANIFEST).write_bytes(text)
            draft.rename(folder)
    _remember(room, etag, digest)
    return folder


def _is_whole(folder: Path, manifest: Manifest, text: bytes) -> bool:
    # Every byte was checked before it got this name; a full disk may have cut it since.
    try:
        check_sizes(folder, manifest)
        return (folder / MANIFEST).read_bytes() == text
    except (SetupError, OSError):
        return False


def _download(s3: Any, location: Location, manifest: Manifest, folder: Path) -> None:
    pieces = []
    for name, file in manifest.files.items():
        with (folder / name).open("wb") as made:
            made.truncate(file.bytes)
        key = location.key(file.sha256, name)
        pieces += [
            (key, folder / name, start, min(start + PIECE, file.bytes))
            for start in range(0, file.bytes, PIECE)
        ]

    def fetch(piece: tuple[str, Path, int, int]) -> None:
        key, path, start, end = piece
        answer = s3.get_object(Bucket=location.bucket, Key=key, Range=f"bytes={start}-{end - 1}")
        with path.open("r+b") as file:
            file.seek(start)
            for chunk in answer["Body"].iter_chunks(1 << 20):
                file.write(chunk)

    with ThreadPoolExecutor(REQUESTS, thread_name_prefix="riverrun-s3") as pool:
        for _ in pool.map(fetch, pieces):
            pass


def _recall(room: Path) -> tuple[str, str]:
    """Return the ETag and digest of what was fetched last, empty when it is not all there."""
    try:
        kept = parse_json((room / "current.json").read_bytes())
        etag, digest = str(kept["etag"]), str(kept["digest"])
        text = (room / digest / MANIFEST).read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""
    return (etag, digest) if hashlib.sha256(text).hexdigest() == digest else ("", "")


def _remember(room: Path, etag: str, digest: str) -> None:
    draft = room / "current.json.draft"
    draft.write_text(json.dumps({"etag": etag, "digest": digest}), "utf-8")
    draft.replace(room / "current.json")


@contextmanager
def _hold_lock(room: Path) -> Iterator[None]:
    """Let one process at a time fetch; the others wait and find it done."""
    with (room / "lock").open("wb") as file:
        try:
            import fcntl
        except ImportError:  # no such locks on this system: each fetches into a part of its own
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
