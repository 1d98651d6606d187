"""Versions of things, as entity tags: who changes a thing can say which version of it was read (If-Match)."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel
from starlette.requests import Request

from rowhooks.web.api.problems import OUTDATED, Refusal
from rowhooks.web.api.writing import as_json

TAKES = {"If-Match": "The ETag of the version that you have read; a thing that has changed since stays as it is."}
HEADERS = {"ETag": "The version of the thing."}


def tag_of(thing: BaseModel) -> str:
    """Return the entity tag of a thing as it is now."""
    return f'"{hashlib.sha256(as_json(thing)).hexdigest()[:32]}"'


def wanted_tags(request: Request) -> frozenset[str] | None:
    """Return the versions that a request is for; None if it is for any."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    return frozenset(tag.strip() for tag in given.split(","))


def check_version(thing: BaseModel, wanted: frozenset[str] | None) -> None:
    """Make sure that a thing is in a version that is wanted.

    Raises:
        Refusal: it was changed.
    """
    if wanted is not None and tag_of(thing) not in wanted:
        raise Refusal(OUTDATED, "it was changed after you have read it", hint="read it again, and decide again")
