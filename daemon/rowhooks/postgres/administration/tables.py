"""Tracked tables."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.connect import translated_errors


def find_tables(conn: Connection, patterns: Sequence[str]) -> list[str]:
    """Return the tables that names and globs (`public.*`) mean, as the server quotes them.

    A name is read as PostgreSQL reads it (quoted or not, with or without schema). A glob matches `schema.table`,
    unquoted, among the ordinary and partitioned tables that rowhooks could track.

    Raises:
        NotFound: a name or glob means nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        if any(sign in pattern for sign in "*?["):
            matching = [
                row["quoted"]
                for row in fetch(
                    conn,
                    "select concat(n.nspname, '.', c.relname) as name,"
                    " format('%I.%I', n.nspname, c.relname) as quoted"
                    " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
                    " where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'"
                    " and n.nspname not in ('pg_catalog', 'information_schema', 'rowhooks') order by 1",
                )
                if fnmatch.fnmatchcase(row["name"], pattern)
            ]
            if not matching:
                raise NotFound(
                    f"no table matches {pattern!r}", hint="a glob matches schema.table, for example 'public.*'"
                )
            found += matching
        else:
            found.append(resolve_table(conn, pattern))
    return list(dict.fromkeys(found))


def resolve_table(conn: Connection, name: str) -> str:
    """Return a table's name with its schema, as the server quotes it.

    Raises:
        NotFound: there is no such table.
    """
    with conn.transaction(), translated_errors():
        rows = fetch(
            conn,
            "select format('%%I.%%I', n.nspname, c.relname) as quoted from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace where c.oid = to_regclass(%s)",
            (name,),
        )
    return str(only(rows, "table", name, "name it as schema.table; quote capitals: 'public.\"Device\"'")["quoted"])


def track(conn: Connection, table: str, *, audit_receivers: bool) -> None:
    """Track one table, in a transaction of its own."""
    with conn.transaction(), translated_errors():
        conn.execute("select rowhooks.track(%s::regclass, %s)", (table, audit_receivers))


def untrack(conn: Connection, table: str) -> bool:
    """Untrack one table, in a transaction of its own; return whether it was tracked."""
    with conn.transaction(), translated_errors():
        row = conn.execute("select rowhooks.untrack(%s::regclass)", (table,)).fetchone()
    return bool(row and row[0])


def list_tables(conn: Connection) -> list[Row]:
    """Return the tracked tables."""
    return fetch(
        conn,
        "select concat(t.schema_name, '.', t.table_name) as name, t.key_columns::text[], t.audit_receivers,"
        " t.tracked_at from rowhooks.tracked_table as t where t.untracked_at is null order by 1",
    )
