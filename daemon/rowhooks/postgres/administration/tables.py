"""Tracked tables, and the names and patterns that mean tables."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, NotFound, PermissionDenied
from rowhooks.domain.likeness import hinted
from rowhooks.domain.sensitive import is_sensitive_column, is_sensitive_table
from rowhooks.postgres.administration.common import Connection, Row, execute, fetch, only
from rowhooks.postgres.administration.roles import written
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
_WHO_TRACKS = (
    "connect as an administrator of rowhooks who may act as the table's owner; or let one allow it to the owner"
    " (docs/tracking.md, Let a table's owner track it)"
)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def find_tables(conn: Connection, patterns: Sequence[str]) -> list[str]:
    """Return the tables that names and patterns (`public.*`) mean, as the server quotes them.

    A name is read as PostgreSQL reads it (quoted or not, with or without schema). A pattern is a glob over
    `schema.table`, unquoted; it matches ordinary, partitioned and foreign tables that rowhooks could track.

    Raises:
        NotFound: a table does not exist, or no table matches a pattern.
    """
    found: list[str] = []
    for pattern in patterns:
        if is_glob(pattern):
            matching = [
                row["quoted"] for row in fetch(conn, _SQL["trackable"]) if fnmatch.fnmatchcase(row["name"], pattern)
            ]
            if not matching:
                raise NotFound(
                    f"no table matches {pattern!r}", hint="a pattern matches schema.table, for example 'public.*'"
                )
            found += matching
        else:
            found.append(resolve_table(conn, pattern))
    return list(dict.fromkeys(found))


def leave_out(conn: Connection, tables: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return tables without those that names and patterns mean, as `find_tables` reads them.

    Raises:
        NotFound: as `find_tables`.
    """
    left_out = set(find_tables(conn, patterns))
    return [table for table in tables if table not in left_out]


def columns_of(conn: Connection, tables: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the columns of each of these tables, which are named as the server quotes them."""
    return {row["quoted"]: row["columns"] for row in fetch(conn, _SQL["columns"], list(tables))}


def check_columns(conn: Connection, tables: Sequence[str], columns: Sequence[str]) -> None:
    """Make sure that one of the tables has each of these columns.

    Args:
        conn: an open connection.
        tables: as PostgreSQL reads names.
        columns: as they are stored, without quotes.

    Raises:
        NotFound: a table does not exist, or none has such a column.
    """
    if not columns:
        return
    quoted = [resolve_table(conn, table) for table in tables]
    had = [name for names in columns_of(conn, quoted).values() for name in names]
    for column in columns:
        if column not in had:
            hint = hinted(column, had, f"its columns: {', '.join(had)}")
            raise NotFound(f"there is no column {column} in {', '.join(quoted)}", hint=hint)


def find_sensitive(conn: Connection, tables: Sequence[str], excluded: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the tables that seem to hold credentials or sessions, each with its columns that do.

    Tables that are tracked already are not among them, for that was decided before. Columns of numbers and times are
    not considered.

    Args:
        conn: an open connection.
        tables: as the server quotes them.
        excluded: columns that will be kept out of the log.
    """
    rows = fetch(conn, _SQL["texts"], list(excluded), list(tables))
    found = [(row, [name for name in row["columns"] if is_sensitive_column(name)]) for row in rows]
    return [(row["quoted"], columns) for row, columns in found if columns or is_sensitive_table(row["name"])]


def is_glob(pattern: str) -> bool:
    """Return whether a name is a pattern, which may mean many tables. Within quotes, `*?[` are plain characters."""
    return any(sign in _QUOTED.sub("", pattern) for sign in "*?[")


def resolve_table(conn: Connection, name: str) -> str:
    """Return a table's name with its schema, as the server quotes it.

    A name without a schema means what it means in a session of this login.

    Raises:
        NotFound: there is no such table.
        PermissionDenied: the login may not use the schema; the hint names the table's owner.
    """
    try:
        return _resolved(conn, name)
    except PermissionDenied as error:
        raise PermissionDenied(
            f"{error.message}: {conn.info.user} may not look at {name}", hint=_ways_in(conn, name)
        ) from error


def _ways_in(conn: Connection, name: str) -> str:
    ways = ["connect as the table's owner"]
    for row in fetch(conn, _SQL["owner_of"], name):
        ways = [f"connect as {row['owner']}, which owns the table"]
        if not row["is_superuser"]:
            ways.append(f"or let an administrator run: grant {row['owner']} to {written(conn.info.user)}")
    return "; ".join(ways)


def _resolved(conn: Connection, name: str) -> str:
    with conn.transaction(), translated_errors():
        conn.execute(USERS_OWN)
        # Only the name of the table is looked up in that path.
        [found] = fetch(conn, "select pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid as relation", name)
        conn.execute(PINNED)
        rows = fetch(conn, _SQL["quoted"], found["relation"])
    hint = "name it as schema.table; quote capitals: 'public.\"Device\"'"
    return str(
        only(rows, "table", name, hint, lambda: [row["quoted"] for row in fetch(conn, _SQL["trackable"])])["quoted"]
    )


def check_known_table(conn: Connection, name: str | None) -> None:
    """Make sure that a table is tracked, or was, under a name.

    Raises:
        NotFound: none is and none was.
    """
    if name is not None:
        known = [row["name"] for row in fetch(conn, _SQL["names"])]
        if name not in known:
            raise NotFound(f"no table {name} is or was tracked", hint=hinted(name, known, "see: rowhooks tables"))


def tracked_ids(conn: Connection, tables: Sequence[str]) -> list[int]:
    """Return the ids of tracked tables by their names, as PostgreSQL reads them.

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
    capture: str = "row",
) -> None:
    """Track one table, in a transaction of its own.

    Args:
        conn: a connection of the owner of the table.
        table: as the server quotes it.
        audit_receivers: whether to record what hook receivers write.
        identity: the columns that identify a row; empty: changes are recorded without a key; None: the primary key.
        always: whether to fire under session_replication_role = replica too.
        exclude: the columns whose values are kept out of the log; None: no change.
        ignore: the columns that do not count: an update of only these is not recorded; None: no change.
        capture: row, statement or auto: by which triggers.
    """
    check_columns(conn, [table], [*(identity or ()), *(exclude or ()), *(ignore or ())])
    with conn.transaction(), translated_errors(_WHO_TRACKS):
        named = (None if names is None else list(names) for names in (exclude, ignore))
        columns = None if identity is None else list(identity)
        fetch(conn, _SQL["track"], table, audit_receivers, columns, always, *named, capture)


def track_future(conn: Connection, pattern: str, *, audit_receivers: bool, always: bool, capture: str = "row") -> bool:
    """Track tables created later that match a pattern; return whether the database does it by itself.

    Without the event triggers, which a superuser installs, `rowhooks doctor` names such tables instead.
    """
    with conn.transaction(), translated_errors():
        execute(conn, _SQL["track_future"], pattern, audit_receivers, always, capture)
        return bool(fetch(conn, _SQL["ddl_is_followed"])[0]["is_so"])


def forget_future(conn: Connection, pattern: str) -> bool:
    """Remove the rule of a pattern for tables created later; return whether there was one."""
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
    """Return the rules for tables created later."""
    return fetch(
        conn,
        "select r.pattern, r.audit_receivers, r.always, r.capture, r.created_at"
        " from rowhooks.tracking_rule as r order by 1",
    )
