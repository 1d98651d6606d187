"""Removal: what depends on schema rowhooks, its triggers, and what keeps a role from being dropped.

Nothing here calls a function of schema rowhooks: a weaker role may have replaced it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)


@dataclass(frozen=True)
class Kept:
    """A role that stays after `uninstall`.

    Args:
        role: its name.
        reason: why, one sentence.
        way_out: the commands that end it, for an administrator; None: there is nothing to be done.
    """

    role: str
    reason: str
    way_out: str | None = None


def dependents(conn: psycopg.Connection[Any]) -> list[str]:
    """Return the objects of others that DROP SCHEMA ... CASCADE would drop too, described as PostgreSQL does."""
    return [described for (described,) in conn.execute(SQL["dependents"])]


def lock_everything(conn: psycopg.Connection[Any]) -> None:
    """Lock the tables of schema rowhooks: from now on, no session makes a view over them."""
    for (statement,) in conn.execute(SQL["lock_relations"]).fetchall():
        conn.execute(statement)


def drop_triggers(conn: psycopg.Connection[Any]) -> None:
    """Drop the triggers that call capture functions, on all tables."""
    for (statement,) in conn.execute(SQL["drop_triggers"]).fetchall():
        conn.execute(statement)


def drop_role(conn: psycopg.Connection[Any], role: str) -> Kept | None:
    """Drop a role that `init` made, with what was granted to it in this database; return why it stays, if it does."""
    if kept := _held(conn, role):
        return kept
    name = sql.Identifier(role)
    try:
        with conn.transaction():
            if conn.execute(SQL["is_granted_something"], {"role": role}).fetchone():
                if not conn.execute("select 1 where pg_has_role(current_user, %s, 'usage')", (role,)).fetchone():
                    # A login that has made the role without being a superuser may do so.
                    conn.execute(sql.SQL("grant {} to current_user").format(name))
                # The role owns nothing here: this takes back what was granted to it.
                conn.execute(sql.SQL("drop owned by {}").format(name))
            conn.execute(sql.SQL("drop role {}").format(name))
    except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege) as error:
        detail = error.diag.message_detail
        said = f"{error.diag.message_primary}{f' ({detail})' if detail else ''}".replace("\n", "; ")
        quoted = name.as_string(conn)
        return Kept(role, said, f"let an administrator run: drop owned by {quoted}; drop role {quoted}")
    return None


def _held(conn: psycopg.Connection[Any], role: str) -> Kept | None:
    """Return why a role stays: it has objects that would be dropped too, or another database knows it."""
    found = conn.execute(SQL["holds"], {"role": role}).fetchall()
    if not found:
        return None
    quoted = sql.Identifier(role).as_string(conn)
    reasons = list(dict.fromkeys(what for _, what in found))
    databases = sorted({database for database, _ in found})
    where = (
        f"in database {conn.info.dbname}:"
        if databases == [conn.info.dbname]
        else f"uninstall rowhooks there too, or in each of these databases ({', '.join(databases)}):"
    )
    commands = f"reassign owned by {quoted} to ...; drop owned by {quoted}; then: drop role {quoted}"
    return Kept(role, "; ".join(reasons), f"{where} {commands}")
