"""The static files: each is named with a hash of its content, so that a browser may keep it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

DIRECTORY = Path(__file__).with_name("static")
FOREVER = "public, max-age=31536000, immutable"
"""How long a browser keeps a file whose address names its content."""


@cache
def _hash(name: str) -> str:
    return hashlib.sha256((DIRECTORY / name).read_bytes()).hexdigest()[:16]


def static_path(request: Request, name: str) -> str:
    """Return the path of a static file, with the hash of its content as the query.

    Args:
        request: the request whose page links to it.
        name: the file's name, such as console.css.
    """
    return f"{request.url_for('static', path=name).path}?{_hash(name)}"


class HashedFiles(StaticFiles):
    """Serves the static files."""

    def __init__(self) -> None:
        super().__init__(directory=DIRECTORY)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, which is kept for ever where its address names its content."""
        answer = await super().get_response(path, scope)
        if answer.status_code in (200, 304):
            is_current = scope["query_string"].decode("latin-1") == _hash(path)
            answer.headers["cache-control"] = FOREVER if is_current else "no-cache"
        return answer
