"""The page as Netlify serves it: its files with the headers of `_headers`, and not that file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_HEADERS = "_headers"
_POLICY, _NO_FRAME = "Content-Security-Policy", "frame-ancestors 'none'"
# True of a site that has TLS; a browser would hold this machine's plain http to it for a year.
_ONLY_TLS = "strict-transport-security"


class PageFiles(StaticFiles):
    """The files of a folder, each with the headers that its `_headers` says for every path.

    Pages of `frame_origins` may show them in a frame; without, no page may.
    """

    def __init__(
        self, *, directory: Path, frame_origins: Sequence[str] = (), **options: Any
    ) -> None:
        super().__init__(directory=directory, **options)
        self._headers = read_headers(directory / _HEADERS)
        if frame_origins:
            allowed = f"frame-ancestors {' '.join(frame_origins)}"
            policy = self._headers.get(_POLICY, _NO_FRAME)
            self._headers[_POLICY] = policy.replace(_NO_FRAME, allowed)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, or 404 for a file that is an instruction to the host."""
        if path.rsplit("/", 1)[-1].startswith("_"):
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers.update(self._headers)
        return response


def read_headers(path: Path) -> dict[str, str]:
    """Read the headers that Netlify's file says for `/*`."""
    headers: dict[str, str] = {}
    applies = False
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        if line and not line[0].isspace():
            applies = line.strip() == "/*"
        elif applies and ":" in line:
            name, _, value = line.strip().partition(":")
            if name.lower() != _ONLY_TLS:
                headers[name] = value.strip()
    return headers
