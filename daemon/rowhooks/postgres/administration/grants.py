"""What the login that loads rows and calls receivers may not do: grants that are missing, policies that bind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.rows.privileges import REFUSED, SAID, Refusal

Found = tuple[str, str, *tuple[str | list[str] | None, ...]]
"""Level, what is wrong, and the way out in parts."""

MOST_NAMES = 5
"""Tables that a sentence names; the command has them all."""

# The login of the last leader. Before there was one: those that have the daemon's role or the receivers'.
_LOGINS = """
with login as (
  select
    l.oid, l.rolname, l.rolname is not distinct from f.rows_login as is_it,
    case
      when exists (select from pg_roles as g where g.rolname = i.daemon_role and pg_has_role(l.oid, g.oid, 'usage'))
        then quote_ident(i.daemon_role)
      else quote_ident(l.rolname)
    end as grantee
  from rowhooks.installation as i
  cross join rowhooks.feed as f
  join pg_roles as l on l.rolcanlogin
  where exists (
    select from pg_roles as g
    where g.rolname in (i.daemon_role, i.receiver_role) and pg_has_role(l.oid, g.oid, 'member')
  ) and (not l.rolsuper or l.rolname is not distinct from f.rows_login)
)
select
  l.oid::bigint as oid, quote_ident(l.rolname) as name, l.grantee, f.rows_by_policy,
  case when l.is_it then format('login %I', l.rolname)
    else format('no login of role %I', (select i.daemon_role from rowhooks.installation as i))
  end as subject
from login as l
cross join rowhooks.feed as f
where l.is_it or not exists (select from login as x where x.is_it)
order by l.rolname
"""

# A row is loaded for hooks on what is created and updated, and for buttons.
_TABLES = """
select
  quote_ident(n.nspname) as schema, format('%%I.%%I', n.nspname, c.relname) as name,
  t.identity <> 'full' and (
    exists (
      select from rowhooks.table_meant as x
      join rowhooks.job_hook as h on h.id = x.owner_id and h.enabled and (h.type_create or h.type_update)
      where x.kind = 'hook' and x.id = t.id and x.is_present
    ) or exists (
      select from rowhooks.table_meant as x
      join rowhooks.job_button as b on b.id = x.owner_id and b.enabled
      where x.kind = 'button' and x.id = t.id and x.is_present
    )
  ) as is_needed,
  l.oid as login,
  not has_schema_privilege(l.oid::oid, n.oid, 'usage') as no_usage,
  not has_any_column_privilege(l.oid::oid, c.oid, 'select') as no_select,
  array(
    select quote_ident(a.attname) from pg_attribute as a
    where not has_table_privilege(l.oid::oid, c.oid, 'select')
      and a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and not has_column_privilege(l.oid::oid, c.oid, a.attnum, 'select')
    order by a.attnum
  ) as columns,
  case
    when c.relrowsecurity and r.is_bound and (c.relforcerowsecurity or not pg_has_role(l.oid::oid, c.relowner, 'usage'))
      then coalesce(
        (
          select string_agg(p.polname, ', ' order by p.polname) from pg_policy as p
          where p.polrelid = c.oid and (0::oid = any (p.polroles) or exists (
            select from unnest(p.polroles) as r (oid) where pg_has_role(l.oid::oid, r.oid, 'usage')
          ))
        ), 'none, so that it sees no row'
      )
  end as policies
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
join pg_namespace as n on n.oid = c.relnamespace
cross join unnest(%s::bigint[]) as l (oid)
cross join lateral (
  select not x.rolsuper and not x.rolbypassrls as is_bound from pg_roles as x where x.oid = l.oid::oid
) as r
where t.untracked_at is null
order by t.schema_name, t.table_name
"""

# By the index of the runs whose changes are kept.
_REFUSALS = """
select r.exception_message as message, count(*) as runs
from rowhooks.job_result as r
where r.status = 'FAILURE' and r.finished_at > clock_timestamp() - interval '1 hour'
  and r.exception_type = 'sqlalchemy.exc.ProgrammingError' and starts_with(r.exception_message, %s)
group by r.exception_message
order by r.exception_message
"""

# Columns that are named in the privilege are those that were missing.
_STILL_LACKS = """
select case %(kind)s
  when 'schema' then (
    select not has_schema_privilege(l.oid, n.oid, 'usage') from pg_namespace as n
    where quote_ident(n.nspname) = %(name)s
  )
  when 'function' then (
    select not has_function_privilege(l.oid, p.oid, 'execute') from pg_proc as p
    where p.oid::regprocedure::text = %(name)s
  )
  else (
    select bool_or(case
      when c.relkind = 'S' then not has_sequence_privilege(l.oid, c.oid, 'usage')
      when w.privilege in ('DELETE', 'TRUNCATE') then not has_table_privilege(l.oid, c.oid, w.privilege)
      else not has_table_privilege(l.oid, c.oid, w.privilege) and exists (
        select from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and not has_column_privilege(l.oid, c.oid, a.attnum, w.privilege)
          and (strpos(%(privileges)s, '(') = 0 or strpos(%(privileges)s, quote_ident(a.attname)) > 0)
      )
    end)
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'USAGE']) as w (privilege)
    where format('%%I.%%I', n.nspname, c.relname) = %(name)s
      and %(privileges)s ~ concat('(^|, )', w.privilege, '( |,|$)')
  )
end
from pg_roles as l
where quote_ident(l.rolname) = %(login)s
"""


@dataclass(frozen=True)
class _Login:
    oid: int
    name: str
    grantee: str
    subject: str
    rows_by_policy: bool


def lacking_grants(conn: Connection) -> Iterator[Found]:
    """Yield what keeps rows from being loaded and receivers from writing; one finding for many tables."""
    logins = [_Login(**row) for row in fetch(conn, _LOGINS)]
    if not logins:
        return
    tables = fetch(conn, _TABLES, ([login.oid for login in logins],))
    yield from _unreadable(logins, tables)
    yield from _bound(logins, tables)
    yield from _refused(conn, {login.name: login for login in logins})


def _unreadable(logins: Sequence[_Login], tables: Sequence[Row]) -> Iterator[Found]:
    # Before a daemon has led, one that may read the table is enough: it is the daemon's, for all that is known.
    readable = {row["name"] for row in tables if not (row["no_usage"] or row["no_select"] or row["columns"])}
    login = next((one for one in logins if one.grantee != one.name), logins[0])
    lacking = [row for row in tables if row["login"] == login.oid and row["name"] not in readable]
    for (schema, is_needed), rows in _grouped(lacking, "no_usage", "schema"):
        what = f"{login.subject} may not use schema {schema}: rows of {_named(rows)} are not loaded"
        yield _level(is_needed), what, _grant(f"usage on schema {schema}", login)
    for (_, is_needed), rows in _grouped(lacking, "no_select", "schema"):
        what = f"{login.subject} may not read {_named(rows)}: no row is loaded"
        yield _level(is_needed), what, _grant(f"select on {', '.join(row['name'] for row in rows)}", login)
    for row in lacking:
        if row["columns"] and not row["no_select"]:
            columns = ", ".join(row["columns"])
            what = f"{login.subject} may not read {columns} of {row['name']}: no row is loaded"
            yield _level(row["is_needed"]), what, _grant(f"select ({columns}) on {row['name']}", login)


def _bound(logins: Sequence[_Login], tables: Sequence[Row]) -> Iterator[Found]:
    seen = {row["name"] for row in tables if not row["policies"]}
    for login in logins:
        bound = [row for row in tables if row["login"] == login.oid and row["name"] not in seen]
        for (_, is_needed), rows in _grouped(bound, "policies", "login"):
            consequence = "what they hide is not found" if login.rows_by_policy else "no row is loaded"
            named = "; ".join(f"{row['name']} (policies: {row['policies']})" for row in rows[:MOST_NAMES])
            what = f"row security binds login {login.name}, {consequence}: {named}{_more(rows, '; ')}"
            bypass = ["psql", "-c", f"alter role {login.name} bypassrls"]
            if login.rows_by_policy:
                yield (
                    "note",
                    what,
                    "row_security = true in the settings; to see every row, let a superuser run: ",
                    bypass,
                )
            else:
                yield (
                    _level(is_needed), what, "let a superuser run: ", bypass,
                    "; or, where the owner of the table is trusted: row_security = true in the settings",
                )  # fmt: skip


def _refused(conn: Connection, logins: dict[str, _Login]) -> Iterator[Found]:
    runs: dict[Refusal, int] = defaultdict(int)
    for message, count in conn.execute(_REFUSALS, (REFUSED,)):
        said = SAID.match(message)
        if said is not None and (login := logins.get(said["login"])) is not None:
            runs[Refusal(**said.groupdict(), grantee=login.grantee)] += count
    for refusal, count in runs.items():
        still = conn.execute(
            _STILL_LACKS,
            {"login": refusal.login, "kind": refusal.kind, "name": refusal.name, "privileges": refusal.privileges},
        ).fetchone()
        if still is not None and still[0]:
            yield "problem", f"{refusal.what}, for which runs of the last hour have failed: {count}", refusal.mend


def _grouped(rows: Sequence[Row], lacking: str, by: str) -> list[tuple[tuple[Any, bool], list[Row]]]:
    """Return the rows of which something is true, those together that are alike."""
    groups: dict[tuple[Any, bool], list[Row]] = defaultdict(list)
    for row in rows:
        if row[lacking]:
            groups[row[by], row["is_needed"]].append(row)
    return sorted(groups.items(), key=lambda group: group[0][0])


def _named(rows: Sequence[Row]) -> str:
    return ", ".join(row["name"] for row in rows[:MOST_NAMES]) + _more(rows, ", ")


def _more(rows: Sequence[Row], separator: str) -> str:
    return f"{separator}and {len(rows) - MOST_NAMES} more" if len(rows) > MOST_NAMES else ""


def _level(is_needed: bool) -> str:
    return "problem" if is_needed else "note"


def _grant(what: str, login: _Login) -> list[str]:
    return ["psql", "-c", f"grant {what} to {login.grantee}"]
