"""Tokens of the API: created, listed, revoked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration.common import Connection, Row, act, fetch, only
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
PREFIX = "rwh_"
"""What each token begins with, so that one that stands where it should not is recognised."""
Scope = Literal["read", "press", "operate", "admin"]
"""What a token may be for."""


def create_token(
    conn: Connection, name: str, *, scopes: Sequence[Scope], expires_at: datetime, role: str | None = None
) -> tuple[str, Row]:
    """Create a token; return it, and what is on record of it. The database has its hash alone.

    Args:
        conn: an open connection.
        name: what it is for.
        scopes: what its bearer may do at most.
        expires_at: when it becomes invalid, within 366 days.
        role: the role as which its bearer acts; None: that of the connection.

    Raises:
        UsageError: there is no such scope, or none is named.
        PermissionDenied: the connection's role may not become that one, or that one may have no tokens.
        DatabaseError: the time or the name is refused.
    """
    if stray := next((scope for scope in scopes if scope not in get_args(Scope)), None):
        raise UsageError(f"there is no scope {stray}", hint=f"choose from: {', '.join(get_args(Scope))}")
    if not scopes:
        raise UsageError("a token needs a scope", hint=f"choose from: {', '.join(get_args(Scope))}")
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).digest()
    id_ = int(act(conn, _SQL["create"], name, digest, list(scopes), expires_at, role))
    return token, fetch(conn, _SQL["find"], id_)[0]


def list_tokens(conn: Connection, *, ended: bool = False) -> list[Row]:
    """Return the tokens of the connection's role and those that it has created; for an admin, all.

    Args:
        conn: an open connection.
        ended: whether to return those too that have expired or were revoked.
    """
    return fetch(conn, _SQL["list"], ended)


def revoke_token(conn: Connection, token_id: int) -> Row:
    """Make a token invalid; return what is on record of it.

    Raises:
        NotFound: there is none, or it is another role's.
    """
    found = only(fetch(conn, _SQL["find"], token_id), "token", token_id, "see: rowhooks tokens list")
    act(conn, _SQL["revoke"], token_id)
    return found
