"""The roles of an installation: their names, and how they are made."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, PermissionDenied
from rowhooks.postgres.administration.trust import is_superuser
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)

ROLE_KINDS = ("owner", "daemon", "capture", "receiver", "viewer", "operator", "admin", "console")
"""The roles of an installation."""
_INCLUDED = {"operator": "viewer", "admin": "operator"}
"""The members of the first role have what the second one has."""
_LONGEST_NAME = 63  # bytes


@dataclass(frozen=True)
class Roles:
    """The roles of an installation.

    Args:
        owner: owns schema rowhooks.
        daemon: the daemon's login is a member of it.
        capture: owns the capture functions; it may append to the log and ring the bell.
        receiver: a login of the receivers' own is a member of it.
        viewer: its members see what happened, as far as they may see the rows.
        operator: its members retry, revoke and replay runs; they enable and disable jobs, hooks and buttons.
        admin: its members add, change and remove hooks and buttons.
        console: the login of the console is a member of it. It checks tokens, and nothing else.
    """

    owner: str = "rowhooks_owner"
    daemon: str = "rowhooks_daemon"
    capture: str = "rowhooks_capture"
    receiver: str = "rowhooks_receiver"
    viewer: str = "rowhooks_viewer"
    operator: str = "rowhooks_operator"
    admin: str = "rowhooks_admin"
    console: str = "rowhooks_console"


def written(name: str) -> str:
    """Return a name as SQL wants it written, without quotation marks where it needs none."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else sql.Identifier(name).as_string()


def usual(conn: psycopg.Connection[Any]) -> Roles:
    """Return the names that the roles of a new installation have by default.

    A superuser's installation shares them with those in other databases of the cluster. Another login has to be a
    member of the owner's role: with a shared role it could read and replace what rowhooks has in other databases.
    """
    if is_superuser(conn):
        return Roles()
    database, oid = conn.execute(
        "select d.datname::text, d.oid from pg_database as d where d.datname = current_database()"
    ).fetchone() or ("", 0)
    names = {kind: f"rowhooks_{kind}_{database}" for kind in ROLE_KINDS}
    is_too_long = any(len(name.encode()) > _LONGEST_NAME for name in names.values())
    return Roles(**{kind: f"rowhooks_{kind}_{oid}" for kind in ROLE_KINDS} if is_too_long else names)


def chosen(given: Roles | Mapping[str, str], others: Roles) -> Roles:
    """Return the names that are given, completed where they are given for some kinds only."""
    return given if isinstance(given, Roles) else replace(others, **given)


def recorded_roles(conn: psycopg.Connection[Any]) -> tuple[Roles, frozenset[str]]:
    """Return the roles on record, and the kinds of those that `init` has made.

    Raises:
        Conflict: the record is no plain table. Reading a view would run what another role has put into it.
    """
    columns = [name for (name,) in conn.execute(SQL["columns_of_installation"])]
    if not {f"{kind}_role" for kind in ROLE_KINDS} <= set(columns):
        raise Conflict(
            "rowhooks.installation is not the table that rowhooks made",
            hint="somebody has replaced it; look what else, and drop it by hand: drop schema rowhooks cascade",
        )
    statement = sql.SQL("select {} from rowhooks.installation").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    row = conn.execute(statement).fetchone()
    assert row is not None, "rowhooks.installation is empty"
    found = dict(zip(columns, row, strict=True))
    roles = Roles(**{kind: found[f"{kind}_role"] for kind in ROLE_KINDS})
    return roles, frozenset(kind for kind in ROLE_KINDS if found.get(f"{kind}_role_created"))


def ensure_roles(conn: psycopg.Connection[Any], roles: Roles) -> list[str]:
    """Make the roles that do not exist; return their kinds."""
    by_hand = _by_hand(conn, roles)
    made = [kind for kind in ROLE_KINDS if _ensure_role(conn, getattr(roles, kind), by_hand)]
    _ensure_membership(conn, roles.owner)
    # The owner makes the capture functions, and hands them over.
    _ensure_membership(conn, roles.capture, roles.owner)
    for kind, included in _INCLUDED.items():
        _ensure_membership(conn, getattr(roles, included), getattr(roles, kind))
    return made


def write_down(conn: psycopg.Connection[Any], roles: Roles, made: Sequence[str]) -> None:
    """Record the roles of a new installation, and which of them `uninstall` may drop."""
    columns = [f"{kind}_role" for kind in ROLE_KINDS]
    values = [getattr(roles, kind) for kind in ROLE_KINDS]
    statement = sql.SQL("insert into rowhooks.installation ({}) values ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(sql.Placeholder() * len(columns))
    )
    conn.execute(statement, values)
    write_down_made(conn, made)


def write_down_made(conn: psycopg.Connection[Any], made: Sequence[str]) -> None:
    """Record which kinds of roles were made just now."""
    for kind in made:
        column = sql.Identifier(f"{kind}_role_created")
        conn.execute(sql.SQL("update rowhooks.installation set {} = true").format(column))


@contextlib.contextmanager
def as_owner(conn: psycopg.Connection[Any], roles: Roles) -> Iterator[None]:
    """Act as the owner of schema rowhooks while the block runs."""
    try:
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(roles.owner)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {conn.info.user} may not act as {roles.owner}, which owns schema rowhooks",
            hint=f"connect as a superuser, or: grant {written(roles.owner)} to {written(conn.info.user)}",
        ) from error
    yield
    conn.execute("reset role")


def _by_hand(conn: psycopg.Connection[Any], roles: Roles) -> str:
    """Return the command by which an administrator makes the roles for the connected one, all at once."""
    named = {kind: written(getattr(roles, kind)) for kind in ROLE_KINDS}
    login, database = written(conn.info.user), written(conn.info.dbname)
    present = {name for (name,) in conn.execute("select rolname::text from pg_roles")}
    statements = [f"create role {named[kind]} nologin" for kind in ROLE_KINDS if getattr(roles, kind) not in present]
    statements += [f"grant {named[included]} to {named[kind]}" for kind, included in _INCLUDED.items()]
    statements += [f"grant {named['capture']} to {named['owner']}", f"grant {named['owner']} to {login}"]
    statements.append(f"grant create on database {database} to {named['owner']}")
    return shell.command("psql", "-d", conn.info.dbname, "-c", "; ".join(statements))


def _ensure_role(conn: psycopg.Connection[Any], role: str, by_hand: str) -> bool:
    if conn.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone():
        return False
    try:
        conn.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {conn.info.user} may not create the role {role}",
            hint=f"let an administrator make them all, then repeat: {by_hand}; or name existing roles"
            f" with {', '.join(f'--{kind}-role' for kind in ROLE_KINDS[:-1])} and --{ROLE_KINDS[-1]}-role",
        ) from error
    return True


def _ensure_membership(conn: psycopg.Connection[Any], role: str, member: str | None = None) -> None:
    """Let a role (None: the connected one) act as another."""
    member = member or conn.info.user
    usable = "set" if conn.info.server_version >= 160000 else "member"
    row = conn.execute("select pg_has_role(%s, %s, %s)", (member, role, usable)).fetchone()
    if row and row[0]:
        return
    try:
        conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(member)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {member} may not act as {role}",
            hint=f"let an administrator run: grant {written(role)} to {written(member)}",
        ) from error
