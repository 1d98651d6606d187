"""Versions of things, as entity tags: who changes a thing can say which version of it was read (If-Match)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

from pydantic import BaseModel
from starlette.requests import Request

from rowhooks.domain.errors import DatabaseError
from rowhooks.postgres.administration.common import Connection, see_one_state, was_changed_meanwhile
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
        raise _outdated()


@contextlib.contextmanager
def unchanged(conn: Connection, wanted: frozenset[str] | None) -> Iterator[None]:
    """Let a thing be read, checked and changed in the block as one step: nobody changes it in between.

    Args:
        conn: a connection in a transaction that has done nothing yet.
        wanted: the versions that the request is for; None: what others have changed does not matter.

    Raises:
        Refusal: it was changed.
    """
    if wanted is None:
        yield
        return
    see_one_state(conn)
    try:
        yield
    except DatabaseError as error:
        if was_changed_meanwhile(error):
            raise _outdated() from error
        raise


def _outdated() -> Refusal:
    return Refusal(OUTDATED, "it was changed after you have read it", hint="read it again, and decide again")
