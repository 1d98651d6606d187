"""Tracked tables."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.connect import translated_errors
from rowhooks.postgres.search_path import PINNED, USERS_OWN

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
                row["quoted"]
                for row in fetch(
                    conn,
                    "select concat(n.nspname, '.', c.relname) as name,"
                    " format('%I.%I', n.nspname, c.relname) as quoted"
                    " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
                    " where c.relkind in ('r', 'p', 'f') and not c.relispartition and c.relpersistence <> 't'"
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
        found = conn.execute("select pg_catalog.to_regclass(%s::pg_catalog.text)::pg_catalog.oid", (name,)).fetchone()
        conn.execute(PINNED)
        rows = fetch(
            conn,
            "select format('%%I.%%I', n.nspname, c.relname) as quoted from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace where c.oid = %s",
            found,
        )
    return str(only(rows, "table", name, "name it as schema.table; quote capitals: 'public.\"Device\"'")["quoted"])


def track(
    conn: Connection,
    table: str,
    *,
    audit_receivers: bool,
    identity: Sequence[str] | None = None,
    always: bool = False,
    exclude: Sequence[str] | None = None,
) -> None:
    """Track one table, in a transaction of its own.

    Args:
        conn: a connection of somebody who owns the table.
        table: as the server quotes it.
        audit_receivers: record what hook receivers write.
        identity: columns that tell its rows apart; none of them: it is recorded without a key; None: the primary key.
        always: fire under session_replication_role = replica too.
        exclude: columns whose values are kept out of the log; None: as it is.
    """
    with conn.transaction(), translated_errors():
        conn.execute(
            "select rowhooks.track(%s::regclass, %s, identity => %s::text[], always => %s, exclude => %s::text[])",
            (
                table,
                audit_receivers,
                None if identity is None else list(identity),
                always,
                None if exclude is None else list(exclude),
            ),
        )


def track_future(conn: Connection, pattern: str, *, audit_receivers: bool, always: bool) -> bool:
    """Track the tables that a glob will mean, as they are made; return whether the database does it by itself.

    Where nobody could install the event triggers, `rowhooks doctor` names such tables instead.
    """
    with conn.transaction(), translated_errors():
        conn.execute(
            "insert into rowhooks.tracking_rule (pattern, audit_receivers, always) values (%s, %s, %s) on conflict"
            " (pattern) do update set audit_receivers = excluded.audit_receivers, always = excluded.always",
            (pattern, audit_receivers, always),
        )
        row = conn.execute(
            "select exists (select from pg_event_trigger where evtname = 'rowhooks_after_ddl' and evtenabled <> 'D')"
        ).fetchone()
    return bool(row and row[0])


def forget_future(conn: Connection, pattern: str) -> bool:
    """Track no further tables that a glob means; return whether there was such a rule."""
    with conn.transaction(), translated_errors():
        return conn.execute("delete from rowhooks.tracking_rule where pattern = %s", (pattern,)).rowcount > 0


def untrack(conn: Connection, table: str) -> bool:
    """Untrack one table, in a transaction of its own; return whether it was tracked."""
    with conn.transaction(), translated_errors():
        row = conn.execute("select rowhooks.untrack(%s::regclass)", (table,)).fetchone()
    return bool(row and row[0])


def list_tables(conn: Connection) -> list[Row]:
    """Return the tracked tables."""
    return fetch(
        conn,
        "select concat(t.schema_name, '.', t.table_name) as name, t.identity, t.key_columns::text[],"
        " t.excluded_columns::text[], t.audit_receivers, t.always, t.tracked_at"
        " from rowhooks.tracked_table as t where t.untracked_at is null order by 1",
    )


def list_rules(conn: Connection) -> list[Row]:
    """Return the rules for tables to come."""
    return fetch(
        conn, "select r.pattern, r.audit_receivers, r.always, r.created_at from rowhooks.tracking_rule as r order by 1"
    )
