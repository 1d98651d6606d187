"""What the command line reads and changes: jobs, hooks, changes, results, status. Rows come back as dictionaries."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rowhooks.domain.errors import Conflict, NotFound, RowhooksError
from rowhooks.postgres.connect import translated_errors

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

_JOBS = """
select j.id, j.class_path, j.name, j.grouping, j.description, j.enabled, j.installed,
  (select count(*) from rowhooks.job_hook as h where h.job_id = j.id) as hooks
from rowhooks.job as j
"""

_HOOKS = """
select h.id, h.name, j.class_path as job, h.enabled, j.enabled and j.installed as job_enabled,
  array_remove(array[
    case when h.type_create then 'create' end, case when h.type_update then 'update' end,
    case when h.type_delete then 'delete' end
  ], null) as actions,
  array(
    select concat(t.schema_name, '.', t.table_name)
    from rowhooks.job_hook_table as x
    join rowhooks.tracked_table as t on t.id = x.tracked_table_id
    where x.job_hook_id = h.id
    order by 1
  ) as tables
from rowhooks.job_hook as h
join rowhooks.job as j on j.id = h.job_id
"""

# By the index on transaction_id: the log may be long, and almost all of it has been dealt with.
_STATUS = """
with waiting as (
  select c.time, c.id
  from rowhooks.feed as f
  join rowhooks.object_change as c on c.transaction_id >= pg_snapshot_xmax(f.snapshot)
  where f.target is null or c.id > f.after_id or not pg_visible_in_snapshot(c.transaction_id, f.target)
  union all
  select c.time, c.id
  from rowhooks.feed as f
  cross join lateral pg_snapshot_xip(f.snapshot) as x (xid)
  join rowhooks.object_change as c on c.transaction_id = x.xid
  where f.target is null or c.id > f.after_id or not pg_visible_in_snapshot(c.transaction_id, f.target)
)
select
  current_database() as database,
  (select v.version_num from rowhooks.alembic_version as v) as schema_revision,
  exists (
    select from pg_locks as l
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.database = (select d.oid from pg_database as d where d.datname = current_database())
      and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('rowhooks.leader', 0)
  ) as running,
  f.leader,
  f.leader_since,
  f.moved_at,
  (select count(*) from waiting) as backlog,
  (select extract(epoch from clock_timestamp() - min(w.time))::float8 from waiting as w) as lag_seconds,
  (select count(*) from rowhooks.job_result as r where r.status in ('PENDING', 'STARTED', 'RETRY')) as unfinished_runs,
  (select count(*) from rowhooks.tracked_table as t where t.untracked_at is null) as tables,
  (select count(*) from rowhooks.job as j where j.enabled and j.installed) as enabled_jobs,
  (select count(*) from rowhooks.job_hook as h where h.enabled) as enabled_hooks,
  (
    select coalesce(json_object_agg(s.status, s.runs), '{}')
    from (
      select l.status, count(*) as runs
      from (select r.status from rowhooks.job_result as r order by r.id desc limit 1000) as l
      group by l.status
    ) as s
  ) as last_1000_runs
from rowhooks.feed as f
"""


def _rows(conn: Connection, query: str, parameters: Any = None) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _only(rows: list[Row], what: str, wanted: object, hint: str) -> Row:
    if not rows:
        raise NotFound(f"there is no {what} {wanted}", hint=hint)
    if len(rows) > 1:
        names = ", ".join(str(row.get("class_path") or row.get("name")) for row in rows)
        raise Conflict(f"{what} {wanted} could be any of: {names}", hint="give the full name")
    return rows[0]


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
                for row in _rows(
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
        rows = _rows(
            conn,
            "select format('%%I.%%I', n.nspname, c.relname) as quoted from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace where c.oid = to_regclass(%s)",
            (name,),
        )
    return str(_only(rows, "table", name, "name it as schema.table; quote capitals: 'public.\"Device\"'")["quoted"])


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
    return _rows(
        conn,
        "select concat(t.schema_name, '.', t.table_name) as name, t.key_columns::text[], t.audit_receivers,"
        " t.tracked_at from rowhooks.tracked_table as t where t.untracked_at is null order by 1",
    )


def list_jobs(conn: Connection) -> list[Row]:
    """Return the jobs the daemon has found."""
    return _rows(conn, f"{_JOBS} order by j.class_path")


def find_job(conn: Connection, name: str) -> Row:
    """Return a job by its class path, its name or its class's name.

    Raises:
        NotFound: there is none.
        Conflict: several have that name.
    """
    exact = _rows(conn, f"{_JOBS} where j.class_path = %s", (name,))
    rows = exact or _rows(
        conn, f"{_JOBS} where j.name = %(name)s or substring(j.class_path from '[^.]*$') = %(name)s", {"name": name}
    )
    return _only(
        rows, "job", name, "see: rowhooks jobs list; a job is known once `rowhooks run` has started with its module"
    )


def set_job_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    """Enable or disable a job; return it."""
    job = find_job(conn, name)
    if enabled and not job["installed"]:
        raise Conflict(
            f"job {job['class_path']} is not installed", hint="add its module to rowhooks.toml and restart the daemon"
        )
    conn.execute("update rowhooks.job set enabled = %s where id = %s", (enabled, job["id"]))
    return {**job, "enabled": enabled}


def list_hooks(conn: Connection) -> list[Row]:
    """Return the hooks."""
    return _rows(conn, f"{_HOOKS} order by h.name")


def find_hook(conn: Connection, name: str) -> Row:
    """Return a hook by its name.

    Raises:
        NotFound: there is none.
    """
    return _only(_rows(conn, f"{_HOOKS} where h.name = %s", (name,)), "hook", name, "see: rowhooks hooks list")


def add_hook(
    conn: Connection, name: str, *, job: str, tables: Sequence[str], actions: Sequence[str], enabled: bool = True
) -> Row:
    """Make a hook; return it.

    Raises:
        NotFound: the job or a table does not exist.
        Conflict: a hook of that name exists, or a table is not tracked.
    """
    found_job = find_job(conn, job)
    if _rows(conn, "select h.id from rowhooks.job_hook as h where h.name = %s", (name,)):
        raise Conflict(f"a hook named {name} exists already", hint=f"remove it first: rowhooks hooks remove '{name}'")
    tracked: list[int] = []
    for table in tables:
        quoted = resolve_table(conn, table)
        rows = _rows(
            conn,
            "select t.id from rowhooks.tracked_table as t where t.relation = %s::regclass and t.untracked_at is null",
            (quoted,),
        )
        if not rows:
            raise Conflict(f"table {quoted} is not tracked", hint=f"run: rowhooks track {quoted}")
        tracked.append(rows[0]["id"])
    hook_id = _rows(
        conn,
        "insert into rowhooks.job_hook (name, job_id, enabled, type_create, type_update, type_delete)"
        " values (%s, %s, %s, %s, %s, %s) returning id",
        (name, found_job["id"], enabled, *(action in actions for action in ("create", "update", "delete"))),
    )[0]["id"]
    conn.execute(
        "insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id) select %s, unnest(%s::integer[])",
        (hook_id, sorted(set(tracked))),
    )
    return find_hook(conn, name)


def set_hook_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    """Enable or disable a hook; return it.

    Raises:
        Conflict: its job is disabled or not installed.
    """
    hook = find_hook(conn, name)
    if enabled and not hook["job_enabled"]:
        raise Conflict(
            f"hook {name} cannot be enabled: its job {hook['job']} is disabled or not installed",
            hint=f"run: rowhooks jobs enable {hook['job']}",
        )
    conn.execute("update rowhooks.job_hook set enabled = %s where id = %s", (enabled, hook["id"]))
    return {**hook, "enabled": enabled}


def remove_hook(conn: Connection, name: str) -> None:
    """Remove a hook; its results stay."""
    conn.execute("delete from rowhooks.job_hook where id = %s", (find_hook(conn, name)["id"],))


def list_changes(conn: Connection, *, table: str | None, action: str | None, limit: int) -> list[Row]:
    """Return the newest changes, newest first."""
    query = sql.SQL(
        "select c.id, c.time, c.action, c.object_type, c.object_id, c.object_repr, c.user_name, c.db_user,"
        " c.request_id, c.change_context, c.receiver from rowhooks.changes as c where {} order by c.id desc limit {}"
    ).format(_conditions(object_type=("c.object_type", table), action=("c.action", action)), sql.Literal(limit))
    return _rows(conn, query.as_string(conn))


def show_change(conn: Connection, change_id: int) -> Row:
    """Return one change with both rows and the runs it started.

    Raises:
        NotFound: there is none (any more).
    """
    rows = _rows(conn, "select c.* from rowhooks.changes as c where c.id = %s", (change_id,))
    change = _only(rows, "change", change_id, "see: rowhooks changes list")
    change["runs"] = _rows(
        conn,
        "select r.id, r.status, r.hook_name, r.class_path from rowhooks.results as r"
        " where r.object_change_id = %s order by r.id",
        (change_id,),
    )
    return change


def list_results(conn: Connection, *, status: str | None, hook: str | None, table: str | None, limit: int) -> list[Row]:
    """Return the newest results, newest first."""
    query = sql.SQL(
        "select r.id, r.status, r.class_path, r.hook_name, r.action, r.object_type, r.object_repr, r.object_change_id,"
        " r.user_name, r.started_at, r.finished_at, r.exception_type, r.exception_message"
        " from rowhooks.results as r where {} order by r.id desc limit {}"
    ).format(
        _conditions(status=("r.status", status), hook=("r.hook_name", hook), table=("r.object_type", table)),
        sql.Literal(limit),
    )
    return _rows(conn, query.as_string(conn))


def show_result(conn: Connection, result_id: int) -> Row:
    """Return one result with its log.

    Raises:
        NotFound: there is none (any more).
    """
    rows = _rows(conn, "select r.* from rowhooks.results as r where r.id = %s", (result_id,))
    result = _only(rows, "result", result_id, "see: rowhooks results list")
    result["log"] = _rows(
        conn,
        "select e.time, e.level, e.grouping, e.message, e.object_type, e.object_repr from rowhooks.job_log_entry as e"
        " where e.job_result_id = %s order by e.id",
        (result_id,),
    )
    return result


def status(conn: Connection) -> Row:
    """Return how rowhooks stands in this database.

    Raises:
        RowhooksError: rowhooks.feed is empty, which no command of ours does.
    """
    rows = _rows(conn, _STATUS)
    if not rows:
        raise RowhooksError("rowhooks.feed is empty", hint="insert into rowhooks.feed default values")
    return rows[0]


def _conditions(**wanted: tuple[str, str | None]) -> sql.Composable:
    chosen = [
        sql.SQL("{} = {}").format(sql.SQL(column), sql.Literal(value))
        for column, value in wanted.values()
        if value is not None
    ]
    return sql.SQL(" and ").join(chosen) if chosen else sql.SQL("true")
