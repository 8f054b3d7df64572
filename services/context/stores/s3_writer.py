"""Put a finished index into S3: files first, then the manifest that names them, in one step.

A reader has the old index until that step and the new one after it. A run that is cut short
at any point leaves the old one; what it had sent is found by the next.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ... import aws
from ...aws_errors import code_of
from ...errors import SetupError
from ..index.manifest import (
    MANIFEST,
    Manifest,
    check_hashes,
    parse_manifest,
    read_manifest,
)
from .aws_errors import is_missing, translate_error
from .s3 import Location, read_remote

SWEPT_AFTER = timedelta(hours=1)
"""How long files that no manifest names are left alone: another ingest may be sending them."""

_DATA_KEY = re.compile(r"[0-9a-f]{64}/[\w.]+")


def publish(
    index: Path,
    location: Location,
    *,
    client: Callable[[str], Any] = aws.client,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> bool:
    """Put the index in the folder `index` where `location` is; False when it is there already.

    Blocks. Raises `SetupError` when it may not be written or another ingest was faster, and
    `RetrievalError` when S3 cannot be reached.
    """
    manifest = read_manifest(index)
    check_hashes(index, manifest)
    text = (index / MANIFEST).read_bytes()
    try:
        s3 = client("s3")
        before, etag = _read_previous(s3, location)
        if before == text:
            return False
        for name, file in manifest.files.items():
            _send(s3, location, index / name, location.key(file.sha256, name), file.bytes)
        _replace(s3, location, text, etag)
        _sweep(s3, location, [text, *([before] if before else [])], now() - SWEPT_AFTER)
    except Exception as error:
        raise translate_error(error, str(location), "write it (s3:PutObject)") from error
    return True


def _read_previous(s3: Any, location: Location) -> tuple[bytes | None, str | None]:
    try:
        return read_remote(s3, location)
    except Exception as error:
        if code_of(error) == "NoSuchBucket" or not is_missing(error):
            raise
        return None, None


def _send(s3: Any, location: Location, path: Path, key: str, size: int) -> None:
    try:
        # Its name is its hash, so what is there with this size was sent by an earlier run.
        if s3.head_object(Bucket=location.bucket, Key=key)["ContentLength"] == size:
            return
    except Exception as error:
        if not is_missing(error):
            raise
    with path.open("rb") as file:
        s3.put_object(Bucket=location.bucket, Key=key, Body=file)


def _replace(s3: Any, location: Location, text: bytes, etag: str | None) -> None:
    only = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    try:
        s3.put_object(
            Bucket=location.bucket,
            Key=location.key(MANIFEST),
            Body=text,
            ContentType="application/json",
            Metadata={"sha256": hashlib.sha256(text).hexdigest()},
            **only,
        )
    except Exception as error:
        if code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
            raise SetupError(
                f"Another ingest has written {location} meanwhile. Run this again."
            ) from error
        raise


def _sweep(s3: Any, location: Location, texts: list[bytes], before: datetime) -> None:
    """Delete old files that neither the new manifest names nor the one before it.

    Who read that one a moment ago may still be fetching what it names.
    """
    kept = {
        location.key(file.sha256, name) for text in texts for name, file in _files(text, location)
    }
    start = len(location.key("")) + 1 if location.prefix else 0
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=location.bucket, Prefix=location.prefix and f"{location.prefix}/"
    )
    for page in pages:
        gone = [
            {"Key": one["Key"]}
            for one in page.get("Contents", ())
            if one["Key"] not in kept
            and one["LastModified"] < before
            and _DATA_KEY.fullmatch(one["Key"][start:])
        ]
        if gone:
            s3.delete_objects(Bucket=location.bucket, Delete={"Objects": gone, "Quiet": True})


def _files(text: bytes, location: Location) -> list[tuple[str, Any]]:
    try:
        manifest: Manifest = parse_manifest(text, str(location))
    except SetupError:
        return []  # an older format, or damage: no version reads it any more
    return list(manifest.files.items())
