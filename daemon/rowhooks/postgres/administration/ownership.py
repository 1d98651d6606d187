"""Whose things are: tables whose owner has changed, and roles that more than one database has."""

from __future__ import annotations

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.grants import Found

# What rowhooks.build_capture grants: the owner adds partitions, for which he needs the right on the function.
_FORMER_OWNERS = """
select
  format(
    'rowhooks has not followed that %s belongs to %I now%s%s', t.relation, o.rolname,
    case when not has_function_privilege(o.oid, p.oid, 'execute') then ', who cannot add partitions' end,
    '; ' || (
      select string_agg(a.grantee::regrole::text, ', ' order by a.grantee::regrole::text)
      from aclexplode(p.proacl) as a
      where a.grantee not in (p.proowner, c.relowner, 0)
    ) || ' cannot be dropped'
  ),
  array['psql', '-c', 'select rowhooks.refresh_tables()']
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
join pg_roles as o on o.oid = c.relowner
join pg_proc as p
  on p.pronamespace = 'rowhooks'::regnamespace and p.proname = concat('capture_', t.id) and p.pronargs = 0
where t.untracked_at is null
  and array(select distinct a.grantee from aclexplode(p.proacl) as a where a.grantee <> p.proowner)
    <> array_remove(array[c.relowner], p.proowner)
order by 1
"""


def former_owners(conn: Connection) -> list[Found]:
    """Return the tables whose change of owner nobody has followed."""
    return [("problem", what, *way_out) for what, *way_out in conn.execute(_FORMER_OWNERS)]
