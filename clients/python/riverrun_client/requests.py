"""The requests of the contract: what is sent to start, read and stop a run."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

DEFAULT_URL = "http://localhost:8888"
PATH = "/api/chat"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and the key under which it is asked only once, however often it is sent."""

    query: str
    session_id: str | None = None
    top_k: int | None = None
    include: Iterable[str] | None = None
    metadata: Mapping[str, str] | None = None
    idempotency_key: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        check_header_value("The idempotency key", self.idempotency_key)

    def to_json(self) -> bytes:
        """The JSON of the request. Half a surrogate pair becomes U+FFFD."""
        fields: dict[str, Any] = {
            "query": self.query,
            "streaming": True,
            "resume": True,
            "sessionId": self.session_id,
            "top_k": self.top_k,
            "include": None if self.include is None else list(self.include),
            "metadata": None if self.metadata is None else dict(self.metadata),
        }
        present = {name: value for name, value in fields.items() if value is not None}
        # Through UTF-16, so that two halves of one character become that character.
        text = json.dumps(present, ensure_ascii=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is, and the requests it takes there; `query` goes with each of them."""

    url: str
    query: str = ""

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """The endpoint of a server's address, `/api/chat` unless the address has a path.

        Raises `ValueError` when it is no address.
        """
        complaint = f"{url!r} is not an address like {DEFAULT_URL}."
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            _ = parts.port
        except ValueError:
            raise ValueError(complaint) from None
        odd = any(not one.isprintable() or one == " " for one in url)
        if parts.scheme not in ("http", "https") or not parts.hostname or odd:
            raise ValueError(complaint)
        path = parts.path.rstrip("/") or PATH
        return cls(f"{parts.scheme}://{parts.netloc}{path}", parts.query)

    def start(self, question: Question) -> Request:
        """Ask, or join the run that the same question started."""
        body = question.to_json()
        headers = {
            **_hash_body(body),
            "Accept": "text/event-stream",
            "Content-Type": "application/json",
            "Idempotency-Key": question.idempotency_key,
        }
        return Request("POST", self._add_query(self.url), headers, body)

    def read(self, run_id: str, after: int) -> Request:
        """Read a run after its event number `after`."""
        query = f"&{self.query}" if self.query else ""
        url = f"{self._run_url(run_id)}/events?after={after}&resume=1{query}"
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        return Request("GET", url, headers)

    def stop(self, run_id: str) -> Request:
        """End a run on the server."""
        body = b"{}"
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        url = self._add_query(f"{self._run_url(run_id)}/stop")
        return Request("POST", url, {**_hash_body(body), **headers}, body)

    def get_state(self, run_id: str) -> Request:
        """What is known of a run."""
        url = self._add_query(self._run_url(run_id))
        return Request("GET", url, {"Accept": "application/json"})

    def list_runs(self, limit: int) -> Request:
        """The newest runs of who asks."""
        query = f"&{self.query}" if self.query else ""
        url = f"{self.url}/runs?limit={limit}{query}"
        return Request("GET", url, {"Accept": "application/json"})

    def delete_run(self, run_id: str) -> Request:
        """Delete a run."""
        return Request("DELETE", self._add_query(self._run_url(run_id)), _DELETING)

    def delete_session(self, session_id: str) -> Request:
        """Delete a session with its runs."""
        url = self._add_query(f"{self.url}/sessions/{quote(session_id, safe='')}")
        return Request("DELETE", url, _DELETING)

    def _add_query(self, url: str) -> str:
        return f"{url}?{self.query}" if self.query else url

    def _run_url(self, run_id: str) -> str:
        return f"{self.url}/runs/{quote(run_id, safe='')}"


_DELETING = {"Accept": "application/json"}


def _hash_body(body: bytes) -> dict[str, str]:
    # CloudFront signs for its callers (origin access control), but reads no body: without its hash
    # Lambda refuses what is posted.
    return {"x-amz-content-sha256": hashlib.sha256(body).hexdigest()}


def check_header_value(name: str, value: str) -> str:
    """`value`, which can be sent in a header. Raises `ValueError` when it cannot."""
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name} must be printable ASCII characters.")
    return value


def read_cursor(cursor: str) -> tuple[str, int]:
    """The run and the number in `<run>-<seq>`. Raises `ValueError` for anything else."""
    run_id, dash, digits = cursor.rpartition("-")
    if not (dash and run_id and digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise ValueError(f"{cursor!r} is not a cursor, <run>-<number>.")
    return run_id, int(digits)
