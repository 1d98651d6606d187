"""The component's file, as each mount serves it. Nothing here imports a framework."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

NAME = "rowhooks-buttons.js"
"""The file's name, in the package and behind each mount."""
CONTENT_TYPE = "text/javascript; charset=utf-8"
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Beside the type and the ETag. The file is public: a page of another origin may load it as a module."""


@cache
def component() -> bytes:
    """Return the file."""
    return (Path(__file__).parents[1] / "static" / NAME).read_bytes()


@cache
def etag() -> str:
    """Return the ETag of the file."""
    return f'"{hashlib.sha256(component()).hexdigest()[:16]}"'
