"""Tracked tables."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, NotFound
from rowhooks.domain.sensitive import is_sensitive_column, is_sensitive_table
from rowhooks.postgres.administration.common import Connection, Row, execute, fetch, only
from rowhooks.postgres.connections.connect import translated_errors
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def find_tables(conn: Connection, patterns: Sequence[str]) -> list[str]:
    """Return the tables that names and globs (`public.*`) mean, as the server quotes them.

    A name is read as PostgreSQL reads it (quoted or not, with or without schema). A glob matches `schema.table`,
    unquoted, among the ordinary, partitioned and foreign tables that rowhooks could track.

    Raises:
        NotFound: a name or glob means nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        if is_glob(pattern):
            matching = [
                row["quoted"] for row in fetch(conn, _SQL["trackable"]) if fnmatch.fnmatchcase(row["name"], pattern)
            ]
            if not matching:
                raise NotFound(
                    f"no table matches {pattern!r}", hint="a glob matches schema.table, for example 'public.*'"
                )
            found += matching
        else:
            found.append(resolve_table(conn, pattern))
    return list(dict.fromkeys(found))


def leave_out(conn: Connection, tables: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return tables without those that names and globs mean, as `find_tables` reads them.

    Raises:
        NotFound: a name or glob means nothing.
    """
    left_out = set(find_tables(conn, patterns))
    return [table for table in tables if table not in left_out]


def columns_of(conn: Connection, tables: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the columns of each of these tables, which are named as the server quotes them."""
    return {row["quoted"]: row["columns"] for row in fetch(conn, _SQL["columns"], list(tables))}


def find_sensitive(conn: Connection, tables: Sequence[str], excluded: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the tables that look as if they held credentials or sessions, each with the columns that do so.

    A table that is tracked already is none of them: somebody has decided. Neither is a column of numbers or times.

    Args:
        conn: any.
        tables: as the server quotes them.
        excluded: columns that will be kept out of the log.
    """
    rows = fetch(conn, _SQL["texts"], list(excluded), list(tables))
    found = [(row, [name for name in row["columns"] if is_sensitive_column(name)]) for row in rows]
    return [(row["quoted"], columns) for row, columns in found if columns or is_sensitive_table(row["name"])]


def is_glob(pattern: str) -> bool:
    """Say whether a pattern means any number of tables; in a quoted name a sign stands for itself."""
    return any(sign in _QUOTED.sub("", pattern) for sign in "*?[")


def resolve_table(conn: Connection, name: str) -> str:
    """Return a table's name with its schema, as the server quotes it.

    A name without a schema means what it means in a session of this login.

    Raises:
        NotFound: there is no such table.
    """
    with conn.transaction(), translated_errors():
        conn.execute(USERS_OWN)
        # Nothing but the table's name is looked up in that path.
        [found] = fetch(conn, "select pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid as relation", name)
        conn.execute(PINNED)
        rows = fetch(conn, _SQL["quoted"], found["relation"])
    return str(only(rows, "table", name, "name it as schema.table; quote capitals: 'public.\"Device\"'")["quoted"])


def tracked_ids(conn: Connection, tables: Sequence[str]) -> list[int]:
    """Return the entries of tracked tables, by their names as PostgreSQL reads them.

    Raises:
        NotFound: there is no such table.
        Conflict: it is not tracked.
    """
    tracked: set[int] = set()
    for table in tables:
        quoted = resolve_table(conn, table)
        rows = fetch(conn, _SQL["entry"], quoted)
        if not rows:
            raise Conflict(f"table {quoted} is not tracked", hint=f"run: {shell.command('rowhooks', 'track', quoted)}")
        tracked.add(rows[0]["id"])
    return sorted(tracked)


def track(
    conn: Connection,
    table: str,
    *,
    audit_receivers: bool,
    identity: Sequence[str] | None = None,
    always: bool = False,
    exclude: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
) -> None:
    """Track one table, in a transaction of its own.

    Args:
        conn: a connection of somebody who owns the table.
        table: as the server quotes it.
        audit_receivers: record what hook receivers write.
        identity: columns that tell its rows apart; none of them: it is recorded without a key; None: the primary key.
        always: fire under session_replication_role = replica too.
        exclude: columns whose values are kept out of the log; None: as it is.
        ignore: columns that do not count: an update of nothing else is not recorded; None: as it is.
    """
    with conn.transaction(), translated_errors():
        named = (None if names is None else list(names) for names in (exclude, ignore))
        columns = None if identity is None else list(identity)
        fetch(conn, _SQL["track"], table, audit_receivers, columns, always, *named)


def track_future(conn: Connection, pattern: str, *, audit_receivers: bool, always: bool) -> bool:
    """Track the tables that a glob will mean, as they are made; return whether the database does it by itself.

    Where nobody could install the event triggers, `rowhooks doctor` names such tables instead.
    """
    with conn.transaction(), translated_errors():
        execute(conn, _SQL["track_future"], pattern, audit_receivers, always)
        return bool(fetch(conn, _SQL["ddl_is_followed"])[0]["is_so"])


def forget_future(conn: Connection, pattern: str) -> bool:
    """Track no further tables that a glob means; return whether there was such a rule."""
    with conn.transaction(), translated_errors():
        return execute(conn, "delete from rowhooks.tracking_rule where pattern = $1", pattern) > 0


def untrack(conn: Connection, table: str) -> bool:
    """Untrack one table, in a transaction of its own; return whether it was tracked."""
    with conn.transaction(), translated_errors():
        return bool(fetch(conn, "select rowhooks.untrack($1::regclass) as was_tracked", table)[0]["was_tracked"])


def list_tables(conn: Connection) -> list[Row]:
    """Return the tracked tables."""
    return fetch(conn, _SQL["tracked"])


def list_rules(conn: Connection) -> list[Row]:
    """Return the rules for tables to come."""
    return fetch(
        conn, "select r.pattern, r.audit_receivers, r.always, r.created_at from rowhooks.tracking_rule as r order by 1"
    )
