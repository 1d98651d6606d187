"""Databases and login roles of a test's own, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

Connection = psycopg.Connection[Any]
MakeDatabase = Callable[[], str]
MakeRole = Callable[..., str]
ConnectAs = Callable[[str], Connection]
# What an ordinary role needs to track and untrack its own tables.
SELF_SERVICE = [
    "grant usage on schema rowhooks to {}",
    "grant execute on function rowhooks.track(regclass, boolean, interval, text[], boolean, text[], text[]),"
    " rowhooks.untrack(regclass, interval), rowhooks.identity_of(regclass, text[]),"
    " rowhooks.register_table(regclass, name[], boolean, boolean, boolean, name[], name[]),"
    " rowhooks.build_capture(integer), rowhooks.is_compared_inside(integer, regclass),"
    " rowhooks.check_trackable(regclass), rowhooks.make_triggers(regclass, integer),"
    " rowhooks.enable_triggers(regclass, integer, boolean),"
    " rowhooks.hand_over(integer), rowhooks.forget_table(regclass) to {}",
]


def role_exists(conn: Connection, role: str) -> bool:
    """Say whether the cluster has a role of this name."""
    return conn.execute("select from pg_roles where rolname = %s", (role,)).fetchone() is not None


def schema_exists(conn: Connection) -> bool:
    """Say whether the database has a schema rowhooks."""
    return conn.execute("select from pg_namespace where nspname = 'rowhooks'").fetchone() is not None


def dbname(dsn: str) -> sql.Identifier:
    """Return the name of a DSN's database, quoted."""
    return sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))


def allow_self_service(db: Connection, role: str) -> None:
    for statement in SELF_SERVICE:
        db.execute(sql.SQL(statement).format(sql.Identifier(role)))
