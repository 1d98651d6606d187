"""Databases and login roles of a test's own, and what may be asked of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

Connection = psycopg.Connection[Any]
MakeDatabase = Callable[[], str]
MakeRole = Callable[..., str]
ConnectAs = Callable[[str], Connection]
TRACKING = Path(__file__).parents[2] / "docs" / "tracking.md"


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
    """Let a role track and untrack its own tables, as the documentation says."""
    found = re.search(r"```sql\n(grant execute [^;]*)to inventory_owner;\n```", TRACKING.read_text(encoding="utf-8"))
    assert found is not None
    db.execute(sql.SQL("{}to {}").format(sql.SQL(found[1]), sql.Identifier(role)))
