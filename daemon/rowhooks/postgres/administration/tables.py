"""Tracked tables."""

from __future__ import annotations

import contextlib
import fnmatch
import re
from collections.abc import Sequence

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, DatabaseError, NotFound
from rowhooks.domain.sensitive import is_sensitive_column, is_sensitive_table
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.connections.connect import translated_errors
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN

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


def leave_out(conn: Connection, tables: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return tables without those that names and globs mean, as `find_tables` reads them.

    Raises:
        NotFound: a name or glob means nothing.
    """
    left_out = set(find_tables(conn, patterns))
    return [table for table in tables if table not in left_out]


def columns_of(conn: Connection, tables: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the columns of each of these tables, which are named as the server quotes them."""
    return {
        row["quoted"]: row["columns"]
        for row in fetch(
            conn,
            "select t.quoted, array("
            "   select a.attname::text from pg_attribute as a"
            "   where a.attrelid = t.quoted::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum"
            " ) as columns from unnest(%s::text[]) as t (quoted)",
            (list(tables),),
        )
    }


def find_sensitive(conn: Connection, tables: Sequence[str], excluded: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the tables that look as if they held credentials or sessions, each with the columns that do so.

    A table that is tracked already is none of them: somebody has decided. Neither is a column of numbers or times.

    Args:
        conn: any.
        tables: as the server quotes them.
        excluded: columns that will be kept out of the log.
    """
    rows = fetch(
        conn,
        "select t.quoted, c.relname::text as name, array("
        "   select a.attname::text from pg_attribute as a join pg_type as y on y.oid = a.atttypid"
        "   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname <> all (%s::name[])"
        "   and y.typcategory in ('S', 'U', 'A', 'C') order by a.attnum"
        " ) as columns from unnest(%s::text[]) with ordinality as t (quoted, place)"
        " join pg_class as c on c.oid = t.quoted::regclass"
        " where not exists ("
        "   select from rowhooks.tracked_table as k where k.relation = c.oid and k.untracked_at is null"
        " )"
        " order by t.place",
        (list(excluded), list(tables)),
    )
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
        found = conn.execute("select pg_catalog.to_regclass(%s::pg_catalog.text)::pg_catalog.oid", (name,)).fetchone()
        conn.execute(PINNED)
        rows = fetch(
            conn,
            "select format('%%I.%%I', n.nspname, c.relname) as quoted from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace where c.oid = %s",
            found,
        )
    return str(only(rows, "table", name, "name it as schema.table; quote capitals: 'public.\"Device\"'")["quoted"])


def linked_tables(kind: str, alias: str, more: str = "") -> str:
    """Return the columns `tables` and `waits_for` of a query of hooks or buttons, of which `alias` is one."""
    return f"""
  array(
    select rowhooks.qualified_name(coalesce(t.schema_name, x.schema_name), coalesce(t.table_name, x.table_name))
    from rowhooks.job_{kind}_table as x
    left join rowhooks.table_meant as m
      on m.kind = '{kind}' and m.owner_id = x.job_{kind}_id and m.named_id = x.tracked_table_id and m.is_present
    left join rowhooks.tracked_table as t on t.id = m.id
    where x.job_{kind}_id = {alias}.id
    order by 1
  ) as tables,
  array(
    select rowhooks.qualified_name(x.schema_name, x.table_name)
    from rowhooks.job_{kind}_table as x
    where x.job_{kind}_id = {alias}.id and not exists (
      select from rowhooks.table_meant as m
      where m.kind = '{kind}' and m.owner_id = {alias}.id and m.named_id = x.tracked_table_id and m.is_present
    ){more}
    order by 1
  ) as waits_for"""  # noqa: S608  (constants of ours)


def tracked_ids(conn: Connection, tables: Sequence[str]) -> list[int]:
    """Return the entries of tracked tables, by their names as PostgreSQL reads them.

    Raises:
        NotFound: there is no such table.
        Conflict: it is not tracked.
    """
    tracked: set[int] = set()
    for table in tables:
        quoted = resolve_table(conn, table)
        rows = fetch(
            conn,
            "select t.id from rowhooks.tracked_table as t where t.relation = %s::regclass and t.untracked_at is null",
            (quoted,),
        )
        if not rows:
            raise Conflict(f"table {quoted} is not tracked", hint=f"run: {shell.command('rowhooks', 'track', quoted)}")
        tracked.add(rows[0]["id"])
    return sorted(tracked)


# By what a table is called now, else by what it was called: it may be gone.
_LINKED = """
select
  x.tracked_table_id, x.schema_name, x.table_name, m.relation,
  t.schema_name as last_schema, t.table_name as last_table
from rowhooks.job_{kind}_table as x
join rowhooks.tracked_table as t on t.id = x.tracked_table_id
left join lateral (
  select p.relation::oid::bigint as relation
  from rowhooks.table_meant as m
  join rowhooks.tracked_table as p on p.id = m.id
  where m.kind = '{kind}' and m.owner_id = x.job_{kind}_id and m.named_id = x.tracked_table_id and m.is_present
) as m on true
where x.job_{kind}_id = %(owner)s
"""


def remove_tables(conn: Connection, kind: str, owner: Row, tables: Sequence[str]) -> None:
    """Take tables from a hook or button, also such as are gone.

    Args:
        conn: a connection of somebody who may configure rowhooks.
        kind: `hook` or `button`.
        owner: it, with its id and name.
        tables: as PostgreSQL reads names, or as `hooks list` writes them.

    Raises:
        NotFound: it is not on such a table.
    """
    linked = fetch(conn, _LINKED.format(kind=kind), {"owner": owner["id"]})
    for table in tables:
        found = _linked_by(conn, linked, table)
        if not found:
            raise NotFound(
                f"{kind} {owner['name']} is not on table {table}",
                hint=f"it is on: {', '.join(owner['tables']) or 'none'}",
            )
        conn.execute(
            f"delete from rowhooks.job_{kind}_table where job_{kind}_id = %s and tracked_table_id = any (%s)",  # noqa: S608
            (owner["id"], found),
        )


def _linked_by(conn: Connection, linked: Sequence[Row], table: str) -> list[int]:
    """Return the entries by which a name is linked."""
    row = None
    with contextlib.suppress(NotFound, DatabaseError):
        row = conn.execute("select %s::regclass::oid::bigint", (resolve_table(conn, table),)).fetchone()
    if row and (found := [link["tracked_table_id"] for link in linked if link["relation"] == row[0]]):
        return found
    named = fetch(
        conn,
        "select x.place from unnest(%(schemas)s::name[], %(tables)s::name[]) with ordinality as x (schema, name, place)"
        " where %(wanted)s in (format('%%I.%%I', x.schema, x.name), format('%%s.%%s', x.schema, x.name)) order by 1",
        {
            "schemas": [name for link in linked for name in (link["schema_name"], link["last_schema"])],
            "tables": [name for link in linked for name in (link["table_name"], link["last_table"])],
            "wanted": table,
        },
    )
    # What is there under another name is taken by that name.
    places = sorted({(row["place"] - 1) // 2 for row in named})
    gone = [linked[place]["tracked_table_id"] for place in places if linked[place]["relation"] is None]
    return gone or [linked[place]["tracked_table_id"] for place in places]


# A link that means the table by name gives way to one that means its present entry.
_SUPERSEDED = """
delete from rowhooks.job_{kind}_table as x
using rowhooks.table_meant as m
where m.kind = '{kind}' and m.owner_id = x.job_{kind}_id and m.named_id = x.tracked_table_id and m.is_present
  and x.job_{kind}_id = %(owner)s and m.id = any (%(tracked)s) and m.id <> m.named_id
"""
_LINK = """
insert into rowhooks.job_{kind}_table (job_{kind}_id, tracked_table_id)
select %(owner)s, unnest(%(tracked)s::integer[])
on conflict (job_{kind}_id, tracked_table_id) do update
set schema_name = excluded.schema_name, table_name = excluded.table_name
"""


def add_tables(conn: Connection, kind: str, owner: Row, tracked: Sequence[int]) -> None:
    """Put a hook or button on tracked tables; those that it is on already are known by what they are called now.

    Args:
        conn: a connection of somebody who may configure rowhooks.
        kind: `hook` or `button`.
        owner: it, with its id.
        tracked: rowhooks.tracked_table.id of each.
    """
    if not tracked:
        return
    with translated_errors():
        for statement in (_SUPERSEDED, _LINK):
            conn.execute(statement.format(kind=kind), {"owner": owner["id"], "tracked": list(tracked)})


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
        conn.execute(
            "select rowhooks.track(%s::regclass, %s, identity => %s::text[], always => %s, exclude => %s::text[],"
            " ignore => %s::text[])",
            (
                table,
                audit_receivers,
                None if identity is None else list(identity),
                always,
                None if exclude is None else list(exclude),
                None if ignore is None else list(ignore),
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
        "select rowhooks.qualified_name(t.schema_name, t.table_name) as name, t.identity, t.key_columns::text[],"
        " t.excluded_columns::text[], t.ignored_columns::text[], t.audit_receivers, t.always, t.tracked_at"
        " from rowhooks.tracked_table as t where t.untracked_at is null order by 1",
    )


def list_rules(conn: Connection) -> list[Row]:
    """Return the rules for tables to come."""
    return fetch(
        conn, "select r.pattern, r.audit_receivers, r.always, r.created_at from rowhooks.tracking_rule as r order by 1"
    )
