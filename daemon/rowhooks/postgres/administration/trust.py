"""Whose code a superuser would run: who may replace rowhooks' functions, what stands among them that is not ours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.sql import Identifier

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, PermissionDenied
from rowhooks.postgres.administration.drift import wanted_functions
from rowhooks.postgres.connections.search_path import SEARCH_PATH
from rowhooks.resources import sql_script

_NAMES = {
    kind: re.compile(rf"^create (?:or replace )?(?:constraint )?{kind} (?:rowhooks\.)?(\w+)", re.MULTILINE)
    for kind in ("function", "trigger")
}

# As in rowhooks.after_ddl. A role that may grant itself a membership counts as a member.
_WEAKER = """
with recursive owner as (
  select n.nspowner as role from pg_catalog.pg_namespace as n where n.nspname = 'rowhooks'
),
member (role) as (
  select o.role from owner as o
  union
  select m.member from member join pg_catalog.pg_auth_members as m on m.roleid = member.role
)
select r.rolname::pg_catalog.text
from member
join pg_catalog.pg_roles as r on r.oid = member.role
where not r.rolsuper and (r.rolcanlogin or r.oid <> (select o.role from owner as o))
order by 1
"""

# Where this is not there, nothing of the schema is read.
_INSTALLED = """
select from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'rowhooks' and c.relname = 'alembic_version'
"""
_PRESENT = """
select 'function', p.proname::pg_catalog.text, p.oid::pg_catalog.regprocedure::pg_catalog.text
from pg_catalog.pg_proc as p
where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
union all
select 'trigger', t.tgname, pg_catalog.format('%I on %s', t.tgname, t.tgrelid::pg_catalog.regclass)
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace and not t.tgisinternal
union all
select 'rule', null, pg_catalog.format('%I on %s', r.rulename, r.ev_class::pg_catalog.regclass)
from pg_catalog.pg_rewrite as r
join pg_catalog.pg_class as c on c.oid = r.ev_class
where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace and r.rulename <> '_RETURN'
union all
select 'policy', null, pg_catalog.format('%I on %s', o.polname, o.polrelid::pg_catalog.regclass)
from pg_catalog.pg_policy as o
join pg_catalog.pg_class as c on c.oid = o.polrelid
where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace
union all
select 'owner', null, pg_catalog.format(
  '%s of function %s', p.proowner::pg_catalog.regrole, p.oid::pg_catalog.regprocedure
)
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
join pg_catalog.pg_roles as r on r.oid = p.proowner
where n.nspname = 'rowhooks' and p.proowner <> n.nspowner and not r.rolsuper and p.proname !~ '^capture_[0-9]+$'
union all
-- A trigger, a default, a check, an index or a view that calls a function which is neither PostgreSQL's own (no
-- dependency on those is recorded) nor rowhooks'.
select 'use', null, pg_catalog.format(
  '%s in %s', pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0),
  pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
)
from pg_catalog.pg_depend as d
cross join lateral pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0) as f
-- initdb makes nothing above that.
where d.refobjid >= 16384
  and d.deptype in ('n', 'a')
  and f.schema is distinct from 'rowhooks' and not (f.type = 'schema' and f.name = 'rowhooks')
  and coalesce(f.identity, '') !~ ' on rowhooks[.]' and coalesce(f.identity, '') !~ '^rowhooks[.]'
  and exists (
    select from pg_catalog.pg_class as c
    where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace
      and c.oid = case d.classid
        when 'pg_catalog.pg_trigger'::pg_catalog.regclass
          then (select t.tgrelid from pg_catalog.pg_trigger as t where t.oid = d.objid)
        when 'pg_catalog.pg_class'::pg_catalog.regclass then d.objid
        when 'pg_catalog.pg_attrdef'::pg_catalog.regclass
          then (select a.adrelid from pg_catalog.pg_attrdef as a where a.oid = d.objid)
        when 'pg_catalog.pg_constraint'::pg_catalog.regclass
          then (select o.conrelid from pg_catalog.pg_constraint as o where o.oid = d.objid)
        when 'pg_catalog.pg_rewrite'::pg_catalog.regclass
          then (select r.ev_class from pg_catalog.pg_rewrite as r where r.oid = d.objid)
      end
  )
order by 1, 3
"""


def weaker_roles(conn: psycopg.Connection[Any]) -> list[str]:
    """Return the roles without superuser that may act as the owner of schema rowhooks, and so replace its functions."""
    return [name for (name,) in conn.execute(_WEAKER)]


def foreign_objects(conn: psycopg.Connection[Any]) -> list[str]:
    """Return what stands in schema rowhooks, or hangs on its tables, and was not made by this release."""
    script = sql_script("functions", "superuser")
    expected = {kind: Counter(names.findall(script)) for kind, names in _NAMES.items()}
    present = conn.execute(_PRESENT).fetchall()
    found: dict[str, Counter[str]] = {
        kind: Counter(name for other, name, _ in present if other == kind) for kind in expected
    }
    return [
        f"{kind} {description}"
        for kind, name, description in present
        if kind not in expected
        or not (
            found[kind][name] <= expected[kind][name] or (kind == "function" and re.fullmatch(r"capture_\d+", name))
        )
    ]


_APPROVED = """
select pg_catalog.obj_description(e.oid, 'pg_event_trigger')
from pg_catalog.pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl'
"""
_ROLES = "select pg_catalog.concat_ws(' ', i.owner_role, i.capture_role) from rowhooks.installation as i"
_AS_INSTALLED = """
select pg_catalog.set_config('quote_all_identifiers', 'off', true),
  pg_catalog.set_config('standard_conforming_strings', 'on', true), pg_catalog.set_config('search_path', %s, true),
  pg_catalog.set_config(
    'lock_timeout', coalesce(nullif(pg_catalog.current_setting('lock_timeout'), '0'), '3s'), true
  )
"""


def is_approved(conn: psycopg.Connection[Any]) -> bool:
    """Say whether schema rowhooks is what a superuser has installed.

    The catalogue tells it. Only then is a table of the schema read, which runs what is attached to it.
    """
    # What the event triggers compare too; the function itself may have been replaced.
    (fingerprint,) = [one.source for one in wanted_functions("superuser") if one.name == "fingerprint"]
    with conn.transaction():
        conn.execute(_AS_INSTALLED, (SEARCH_PATH,))
        approved, present = conn.execute(_APPROVED).fetchone(), conn.execute(fingerprint.encode()).fetchone()
        if approved is None or present is None or not str(approved[0]).startswith(f"{present[0]} "):
            return False
        roles = conn.execute(_ROLES).fetchone()
    return roles is not None and approved[0] == f"{present[0]} {roles[0]}"


def vet(conn: psycopg.Connection[Any], *, trusting: bool = False) -> None:
    """Let no superuser's command run code of schema rowhooks that somebody weaker may have made.

    To be called before anything of the schema is read.

    Args:
        conn: any login; only a superuser has something to lose.
        trusting: the superuser vouches for the schema as it is.

    Raises:
        PermissionDenied: somebody weaker may replace that code, or the schema is not what a superuser has installed.
        Conflict: something stands in it that is none of rowhooks'.
    """
    if not is_superuser(conn) or conn.execute(_INSTALLED).fetchone() is None:
        return
    for role in weaker_roles(conn):
        raise PermissionDenied(
            f"{conn.info.user} is a superuser, and {role}, which is none, may replace what rowhooks runs",
            hint=f"connect as {role} or as the table's owner; or: "
            + shell.command("psql", "-c", _taking_back(conn, role))
            + ", then rowhooks upgrade --trust-schema",
        )
    if trusting:
        # A function that nothing calls does no harm: an older release has left some.
        for what in (found for found in foreign_objects(conn) if not found.startswith("function ")):
            raise Conflict(f"{what} is none of rowhooks'", hint="drop it, if nobody needs it")
    elif not is_approved(conn):
        raise PermissionDenied(
            f"{conn.info.user} is a superuser, and schema rowhooks is not what a superuser has installed: its code"
            " would run with all rights",
            hint="if nobody but superusers could ever act as its owner: rowhooks upgrade --trust-schema; else uninstall"
            " it as whoever installed it, and init anew",
        )


def distrusted(conn: psycopg.Connection[Any]) -> Iterator[tuple[str, *tuple[str | list[str], ...]]]:
    """Yield what keeps the event triggers from working, and what is none of rowhooks'; what it is, and the way out."""
    upgrade = ["rowhooks", "upgrade", "--trust-schema"]
    for what in foreign_objects(conn):
        yield f"{what} is none of rowhooks'", "drop it, if nobody needs it"
    if conn.execute(_APPROVED).fetchone() is None:
        return
    weaker = weaker_roles(conn)
    for role in weaker:
        what = f"the event triggers leave DDL to the daemon: role {role}, no superuser, may act as the schema's owner"
        yield what, ["psql", "-c", _taking_back(conn, role)]
    if not weaker and not is_approved(conn):
        what = "the event triggers leave DDL to the daemon: schema rowhooks is not what a superuser has installed"
        yield what, "if you know why, let a superuser run: ", upgrade


def replace_event_triggers(conn: psycopg.Connection[Any]) -> None:
    """Make the event triggers, where the connected role may: without them the daemon notices altered tables later.

    What stands in the schema is from now on what a superuser has installed.
    """
    if is_superuser(conn):
        conn.execute(sql_script("superuser"))


def is_superuser(conn: psycopg.Connection[Any]) -> bool:
    """Say whether the connected role is a superuser."""
    return conn.info.parameter_status("is_superuser") == "on"


def _taking_back(conn: psycopg.Connection[Any], role: str) -> str:
    row = conn.execute(
        "select n.nspowner::pg_catalog.regrole::pg_catalog.text from pg_catalog.pg_namespace as n"
        " where n.nspname = 'rowhooks'"
    ).fetchone()
    assert row is not None, "there is no schema rowhooks"
    return f"revoke {row[0]} from {Identifier(role).as_string(conn)} cascade"
