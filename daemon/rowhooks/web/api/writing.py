"""Answers as JSON, with numbers as exact as PostgreSQL has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from rowhooks.domain import exact


def json_response(
    content: BaseModel | Mapping[str, Any],
    *,
    status: int = 200,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer in JSON.

    Args:
        content: a model, or a document.
        status: the status code.
        media_type: the type of the content.
        headers: more headers.
    """
    return Response(as_json(content), status_code=status, media_type=media_type, headers=dict(headers or {}))


def as_json(content: BaseModel | Mapping[str, Any]) -> bytes:
    """Return a model or a document as JSON."""
    value = content.model_dump(by_alias=True) if isinstance(content, BaseModel) else content
    # A half of a surrogate pair, which a column of type json may hold, is an escape in JSON.
    return exact.write(value, _plain).encode("utf-8", "backslashreplace")


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)
