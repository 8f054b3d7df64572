"""One row of the attack table: a request, and what is promised to be answered on which hosts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALL = ("server", "function", "gateway", "web")
# A function URL reaches the function `chat` alone, and only a server has addresses of its own.
SERVER = ("server",)
# What a client between us would not send: fetch has rules of its own for what it forwards.
DIRECT = ("server", "function", "web")

KEY = {"Authorization": "Bearer alpha"}
JSON = {"Content-Type": "application/json"}
GOOD = {"query": "one word", "streaming": False}
MISSING = "0123456789abcdef" * 2


@dataclass(frozen=True, slots=True)
class Attack:
    """One request, and the status and code it is promised."""

    name: str
    status: int
    code: str = ""
    method: str = "POST"
    path: str = "/api/chat"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    hosts: tuple[str, ...] = ALL


def post(name: str, status: int, code: str, body: Any = GOOD, **more: Any) -> Attack:
    """A question as JSON, or the bytes given, from one who has a key."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**JSON, **KEY, **more.pop("headers", {})}
    return Attack(name, status, code, headers=headers, body=data, **more)


def get(name: str, status: int, code: str, path: str, **more: Any) -> Attack:
    """A GET from one who has a key."""
    headers = {**KEY, **more.pop("headers", {})}
    return Attack(name, status, code, "GET", path, headers, **more)
