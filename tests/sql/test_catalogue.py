"""What stands in schema rowhooks, whose it is, how it runs and who may use it: against a list, object by object.

The lists are tests/sql/catalogue/*.txt. A difference is printed; whoever means it changes the list.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import psycopg

from rowhooks.postgres.administration.roles import Roles

Connection = psycopg.Connection[Any]

LISTS = Path(__file__).parent / "catalogue"

# Signature, owner (the superuser's name is the server's), whose rights, volatility, settings, and who may execute it
# beside the owner.
_FUNCTIONS = """
select concat_ws(
  ' | ',
  replace(p.oid::regprocedure::text, 'rowhooks.', ''),
  case when r.rolsuper then 'superuser' else r.rolname end,
  case when p.prosecdef then 'definer' else 'invoker' end,
  case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
  coalesce(nullif(array_to_string(array(select c from unnest(p.proconfig) as c order by 1), '; '), ''), 'no settings'),
  coalesce(
    (
      select string_agg(
        case
          when a.grantee = 0 then 'everybody'
          when exists (select from pg_roles as g where g.oid = a.grantee and g.rolsuper) then 'superuser'
          else a.grantee::regrole::text
        end
        || case when a.is_grantable then ' with grant option' else '' end,
        ', ' order by 1
      )
      from (
        select x.grantee, x.is_grantable
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as x
        where x.grantee <> p.proowner
        order by x.grantee::regrole::text
      ) as a
    ),
    'nobody'
  )
)
from pg_proc as p
join pg_roles as r on r.oid = p.proowner
where p.pronamespace = 'rowhooks'::regnamespace
order by 1
"""

_RELATIONS = """
select concat_ws(
  ' | ', k.kind, k.name, k.owner, coalesce(
    (
      select string_agg(g.what, ', ' order by g.what)
      from (
        select concat(
          case when a.grantee = 0 then 'everybody' else a.grantee::regrole::text end, ': ',
          string_agg(
            lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end, ' '
            order by a.privilege_type
          )
        ) as what
        from aclexplode(k.acl) as a
        where a.grantee <> k.owner_id
        group by a.grantee
        union all
        select concat(
          x.grantee::regrole::text, ': ', lower(x.privilege_type), ' (',
          string_agg(t.attname, ' ' order by t.attnum), ')'
        )
        from pg_attribute as t
        cross join lateral aclexplode(t.attacl) as x
        where t.attrelid = k.id
        group by x.grantee, x.privilege_type
      ) as g
    ),
    'nobody'
  )
)
from (
  select
    case
      when c.relkind = 'v' then 'view' when c.relkind = 'S' then 'sequence' when c.relkind in ('i', 'I') then 'index'
      else 'table'
    end as kind,
    c.relname::text as name, c.relowner::regrole::text as owner, c.relowner as owner_id, c.oid as id,
    case when c.relkind not in ('i', 'I') then coalesce(c.relacl, acldefault(
      case when c.relkind = 'S' then 's'::"char" else 'r'::"char" end, c.relowner
    )) end as acl
  from pg_class as c
  where c.relnamespace = 'rowhooks'::regnamespace
  union all
  select 'schema', n.nspname, n.nspowner::regrole::text, n.nspowner, 0, n.nspacl
  from pg_namespace as n where n.nspname = 'rowhooks'
  union all
  select 'type', t.typname, t.typowner::regrole::text, t.typowner, 0, coalesce(t.typacl, acldefault('T', t.typowner))
  from pg_type as t
  where t.typnamespace = 'rowhooks'::regnamespace and t.typrelid = 0 and t.typelem = 0
) as k
order by 1
"""


def differences(name: str, found: list[tuple[Any, ...]]) -> list[str]:
    expected = (LISTS / f"{name}.txt").read_text("utf-8").splitlines()
    present = [line for (line,) in found]
    return [f"- {line}" for line in expected if line not in present] + [
        f"+ {line}" for line in present if line not in expected
    ]


def test_every_function_has_the_owner_the_path_and_the_grants_that_it_should(db: Connection, item: str) -> None:
    found = db.execute(_FUNCTIONS).fetchall()
    assert "\n".join(differences("functions", found)) == ""


def test_everything_belongs_to_whom_it_should(db: Connection, item: str) -> None:
    found = db.execute(_RELATIONS).fetchall()
    assert "\n".join(differences("relations", found)) == ""
    # And the functions: in the other list too, where they are easily overlooked.
    owners = db.execute(
        "select p.proname ~ '^capture_[0-9]+(_statement)?$', array_agg(distinct p.proowner::regrole::text)"
        " from pg_proc as p"
        " join pg_roles as r on r.oid = p.proowner"
        " where p.pronamespace = 'rowhooks'::regnamespace and not r.rolsuper group by 1 order by 1"
    ).fetchall()
    assert owners == [(False, ["rowhooks_owner"]), (True, ["rowhooks_capture"])]


def test_no_role_of_ours_logs_in_has_a_power_or_is_a_member_of_another(db: Connection) -> None:
    names = dataclasses.asdict(Roles()).values()
    powers = db.execute(
        "select rolname, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls from pg_roles"
        " where rolname = any (%s) order by rolname",
        (list(names),),
    ).fetchall()
    assert powers == [(name, *[False] * 6) for name in sorted(names)]
    memberships = db.execute(
        "select m.roleid::regrole::text, m.member::regrole::text, m.admin_option from pg_auth_members as m"
        " join pg_roles as r on r.oid = m.member where r.rolname = any (%s) order by 1",
        (list(names),),
    ).fetchall()
    assert memberships == [
        ("rowhooks_capture", "rowhooks_owner", False),
        ("rowhooks_operator", "rowhooks_admin", False),
        ("rowhooks_viewer", "rowhooks_operator", False),
    ]
