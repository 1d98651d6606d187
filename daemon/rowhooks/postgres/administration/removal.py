"""What `uninstall` finds in the catalogues: what hangs on schema rowhooks, its triggers, and what holds a role.

Nothing here calls a function of schema rowhooks: a weaker role may have replaced it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from rowhooks.domain.errors import Conflict

# Objects of others that DROP ... CASCADE would take along, by what PostgreSQL notes of dependencies: what depends on an
# object goes with it, and so does the whole that a part belongs to (the view of a rule).
_DEPENDENTS = """
with recursive gone (classid, objid, objsubid) as (
  select 'pg_namespace'::regclass::oid, 'rowhooks'::regnamespace::oid, 0
  union
  select n.classid, n.objid, n.objsubid
  from gone as g
  cross join lateral (
    select d.classid, d.objid, d.objsubid
    from pg_depend as d
    where d.refclassid = g.classid and d.refobjid = g.objid and (g.objsubid = 0 or d.refobjsubid = g.objsubid)
      and d.deptype <> 'p'
    union all
    select d.refclassid, d.refobjid, d.refobjsubid
    from pg_depend as d
    where d.classid = g.classid and d.objid = g.objid and d.deptype = 'i'
  ) as n
)
select distinct pg_describe_object(g.classid, g.objid, g.objsubid)
from gone as g
left join pg_class as c on g.classid = 'pg_class'::regclass and c.oid = g.objid
left join pg_type as y on g.classid = 'pg_type'::regclass and y.oid = g.objid
left join pg_proc as p on g.classid = 'pg_proc'::regclass and p.oid = g.objid
left join pg_constraint as k on g.classid = 'pg_constraint'::regclass and k.oid = g.objid
left join pg_trigger as t on g.classid = 'pg_trigger'::regclass and t.oid = g.objid
left join pg_attrdef as f on g.classid = 'pg_attrdef'::regclass and f.oid = g.objid
left join pg_policy as o on g.classid = 'pg_policy'::regclass and o.oid = g.objid
left join pg_class as r on r.oid = coalesce(t.tgrelid, f.adrelid, o.polrelid)
where coalesce(c.relnamespace, y.typnamespace, p.pronamespace, k.connamespace, r.relnamespace, 0)
    <> 'rowhooks'::regnamespace
  and g.classid not in (
    'pg_namespace'::regclass, 'pg_rewrite'::regclass, 'pg_default_acl'::regclass, 'pg_publication_rel'::regclass
  )
  and not coalesce(t.tgisinternal, false)
  and (c.relkind is null or c.relkind not in ('i', 'I', 't') or g.objsubid <> 0)
  -- A table's row type and a type's array go by the other's name.
  and (y.oid is null or y.typrelid = 0 and y.typelem = 0)
  -- The triggers of the capture functions, wherever they were attached, do nothing without rowhooks.
  and not exists (select from pg_proc as x where x.oid = t.tgfoid and x.pronamespace = 'rowhooks'::regnamespace
    and x.proname ~ '^capture_[0-9]+$')
order by 1
"""

# Of PostgreSQL's own types, whose output runs nobody's code.
_INSTALLATION = """
select a.attname::text
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.oid = to_regclass('rowhooks.installation') and c.relkind = 'r'
  and a.attname ~ '_role(_created)?$' and a.atttypid in ('name'::regtype, 'bool'::regtype)
"""

_TRIGGERS = """
select format('drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname)
from pg_trigger as t
join pg_proc as p on p.oid = t.tgfoid
join pg_class as c on c.oid = t.tgrelid
join pg_namespace as n on n.oid = c.relnamespace
where p.pronamespace = 'rowhooks'::regnamespace and p.proname ~ '^capture_[0-9]+$' and t.tgparentid = 0
order by t.tgrelid, t.tgname
"""

_RELATIONS = """
select format('lock table only %I.%I in access exclusive mode', n.nspname, c.relname)
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'rowhooks' and c.relkind in ('r', 'p')
order by c.relkind, c.oid
"""

# What a role has in this database that dropping it would take from others, and in other databases at all.
_HOLDS = """
select
  d.datname,
  case
    when d.datname = current_database() then format('it %%s %%s', case
      when s.deptype = 'o' then 'owns' else 'is named by'
    end, pg_describe_object(s.classid, s.objid, s.objsubid))
    else format('%%s objects in database %%I know it', count(*) over (partition by d.datname), d.datname)
  end as what
from pg_shdepend as s
join pg_database as d on d.oid = s.dbid
where s.refclassid = 'pg_authid'::regclass
  and s.refobjid = (select r.oid from pg_roles as r where r.rolname = %s)
  and (d.datname <> current_database() or s.deptype not in ('a', 'i'))
order by 2
"""

_IS_GRANTED_SOMETHING = """
select 1
from pg_shdepend as s
join pg_roles as r on r.oid = s.refobjid and r.rolname = %s
left join pg_database as d on d.oid = s.dbid
where s.refclassid = 'pg_authid'::regclass and (s.dbid = 0 or d.datname = current_database())
limit 1
"""


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


def installation(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    """Return what `init` wrote down of the roles; a table of an older release does not have all of it.

    Raises:
        Conflict: it is no plain table: reading a view would run what somebody else has put into it.
    """
    columns = [name for (name,) in conn.execute(_INSTALLATION)]
    if not columns:
        raise Conflict(
            "rowhooks.installation is not the table that rowhooks made",
            hint="somebody has replaced it; look what else, and drop it by hand: drop schema rowhooks cascade",
        )
    statement = sql.SQL("select {} from rowhooks.installation").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    row = conn.execute(statement).fetchone()
    assert row is not None, "rowhooks.installation is empty"
    return dict(zip(columns, row, strict=True))


def dependents(conn: psycopg.Connection[Any]) -> list[str]:
    """Return what others have made that DROP SCHEMA ... CASCADE would take along, described as PostgreSQL does."""
    return [described for (described,) in conn.execute(_DEPENDENTS)]


def lock_everything(conn: psycopg.Connection[Any]) -> None:
    """Lock the tables of schema rowhooks: nobody makes a view over them from now on."""
    for (statement,) in conn.execute(_RELATIONS).fetchall():
        conn.execute(statement)


def drop_triggers(conn: psycopg.Connection[Any]) -> None:
    """Drop the triggers that call capture functions, on whatever table they are."""
    for (statement,) in conn.execute(_TRIGGERS).fetchall():
        conn.execute(statement)


def drop_role(conn: psycopg.Connection[Any], role: str) -> Kept | None:
    """Drop a role that `init` made, with what was granted to it in this database; return why it stays, if it does."""
    name = sql.Identifier(role)
    quoted = name.as_string(conn)
    if found := conn.execute(_HOLDS, (role,)).fetchall():
        here = conn.info.dbname
        reasons = list(dict.fromkeys(what for _, what in found))
        commands = [f"reassign owned by {quoted} to ...", f"drop owned by {quoted}"]
        databases = sorted({database for database, _ in found})
        way_out = (
            f"uninstall rowhooks there too, or in each of these databases ({', '.join(databases)}):"
            if databases != [here]
            else f"in database {here}:"
        )
        return Kept(role, "; ".join(reasons), f"{way_out} {'; '.join(commands)}; then: drop role {quoted}")
    try:
        with conn.transaction():
            if conn.execute(_IS_GRANTED_SOMETHING, (role,)).fetchone():
                if not conn.execute("select 1 where pg_has_role(current_user, %s, 'usage')", (role,)).fetchone():
                    # A login that has made the role without being a superuser may do so.
                    conn.execute(sql.SQL("grant {} to current_user").format(name))
                # It owns nothing here: this takes back what was granted to it.
                conn.execute(sql.SQL("drop owned by {}").format(name))
            conn.execute(sql.SQL("drop role {}").format(name))
    except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege) as error:
        detail = error.diag.message_detail
        said = f"{error.diag.message_primary}{f' ({detail})' if detail else ''}".replace("\n", "; ")
        return Kept(role, said, f"let an administrator run: drop owned by {quoted}; drop role {quoted}")
    return None
