"""Who a role is to the console, as PostgreSQL says."""

from __future__ import annotations

from dataclasses import dataclass

from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.administration.revisions import current_revision, explain_mismatch
from rowhooks.postgres.administration.trust import vet
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


@dataclass(frozen=True)
class Access:
    """What a role is to the console.

    Args:
        role: the role.
        level: what the console's roles make of it: none, viewer, operator or admin.
        is_superuser: whether the role is a superuser.
    """

    role: str
    level: str
    is_superuser: bool


def access(conn: Connection) -> Access:
    """Return what the asking role is to the console."""
    [found] = fetch(conn, _SQL["access"])
    return Access(**found)


def admit(conn: Connection, *, allow_superusers: bool) -> Access:
    """Return what the asking role is to the console, if it may come in. It is asked once, when a person logs in.

    Args:
        conn: a connection with the role's rights.
        allow_superusers: accept a role that is a superuser, or may become one by SET ROLE.

    Raises:
        PermissionDenied: the role is a superuser, or may become one.
        SchemaMismatch: rowhooks' schema is missing, or does not fit this code.
    """
    [power] = fetch(conn, _SQL["power"])
    if power["superuser"] is not None:
        if not allow_superusers:
            how = "is a superuser" if power["is_superuser"] else f"may become the superuser {power['superuser']}"
            raise PermissionDenied(
                f"role {power['role']} {how}: whatever it looks at in the console could run code with all rights",
                hint="log in as another role, or set allow_superusers = true in [console] of rowhooks.toml",
            )
        vet(conn)
    check_schema(conn)
    return access(conn)


def check_schema(conn: Connection) -> None:
    """Make sure that the schema fits this code.

    Raises:
        SchemaMismatch: it does not; the message names the command.
    """
    mismatch = explain_mismatch(current_revision(conn))
    if mismatch is not None:
        raise mismatch


def check_own_login(conn: Connection) -> str:
    """Make sure that the console's own login has the least that it needs; return its name.

    Raises:
        PermissionDenied: it is a superuser or may become one, or has the rights of the daemon without SET ROLE.
        SchemaMismatch: rowhooks' schema is missing, or does not fit this code.
    """
    [power] = fetch(conn, _SQL["power"])
    if power["superuser"] is not None:
        raise PermissionDenied(
            f"the console's own login {power['role']} is a superuser, or may become {power['superuser']}",
            hint="give it a login of its own: see docs/console.md",
        )
    check_schema(conn)
    if fetch(conn, _SQL["reads_the_log"])[0]["reads_the_log"]:
        raise PermissionDenied(
            f"the console's own login {power['role']} may read the whole log without SET ROLE",
            hint=f"give it a login of its own that does not inherit: alter role {power['role']} noinherit",
        )
    return str(power["login"])


def planters(conn: Connection) -> list[str]:
    """Return the roles that the console's own login may take up and whose code others may run by looking at it.

    They may create, or own, a view, a table with policies, or a function. What stands in one may call
    set_config('role', ...), and so take up each other role of the login.
    """
    return [row["role"] for row in fetch(conn, _SQL["planters"])]
