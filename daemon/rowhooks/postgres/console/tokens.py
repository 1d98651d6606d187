"""Tokens of the API, as the console's own login asks about them."""

from __future__ import annotations

from dataclasses import dataclass

from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.connections.errors import translated_errors


@dataclass(frozen=True)
class TokenHolder:
    """Whom a token stands for.

    Args:
        role: the role.
        scopes: what the token may do at most.
    """

    role: str
    scopes: tuple[str, ...]


def holder_of_token(conn: Connection, digest: bytes) -> TokenHolder | None:
    """Return whom a token stands for; None where it is unknown, has expired or was revoked.

    Args:
        conn: a connection of the console's own login.
        digest: SHA-256 of the token.
    """
    found = fetch(conn, "select t.role, t.scopes from rowhooks.role_of_token($1) as t", digest)
    return TokenHolder(str(found[0]["role"]), tuple(found[0]["scopes"])) if found and found[0]["role"] else None


def take_up_role(conn: Connection) -> None:
    """Begin the connection's transaction, which takes up its role before anything else.

    Raises:
        PermissionDenied: the console's own login may not take it up.
    """
    with translated_errors():
        conn.execute("select")
