"""Tokens of the API, as the console's own login asks about them."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.connections.errors import translated_errors

_ROLE_TO_ASK = """
select r.rolname::text as role
from pg_catalog.pg_proc as p
cross join lateral pg_catalog.aclexplode(p.proacl) as a
join pg_catalog.pg_roles as r on r.oid = a.grantee
where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname = 'role_of_token' and a.grantee <> p.proowner
  and not pg_catalog.has_function_privilege(p.oid, 'EXECUTE') and pg_catalog.pg_has_role(a.grantee, 'MEMBER')
limit 1
"""


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
    # A login that does not inherit has the right only as that role.
    for row in fetch(conn, _ROLE_TO_ASK):
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(row["role"])))
    found = fetch(conn, "select t.role, t.scopes from rowhooks.role_of_token($1) as t", digest)
    return TokenHolder(str(found[0]["role"]), tuple(found[0]["scopes"])) if found and found[0]["role"] else None


def take_up_role(conn: Connection) -> None:
    """Begin the connection's transaction, which takes up its role before anything else.

    Raises:
        PermissionDenied: the console's own login may not take it up.
    """
    with translated_errors():
        conn.execute("select")
