-- Purpose: say what a role may do with rowhooks, beside pressing buttons. What a role has through others counts as far as it
--          inherits it, as for any privilege.
-- Parameters: asker      the role, by name
--             installed  the installation, which names the roles that give access
-- Returns: none, viewer, operator or admin, never null. Superusers, the owner and members of the daemon's role are admins
-- Reads:   the roles of the cluster, which every role may read, and no table of rowhooks. Every role may execute this: a
--          view's functions run with the rights of the view's reader.
create or replace function rowhooks.access_level(asker name, installed rowhooks.installation) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((pg_catalog.array_agg(g.level order by g.rank desc))[1], 'none')
  from (
    values
      (1, 'viewer'::text, installed.viewer_role),
      (2, 'operator', installed.operator_role),
      (3, 'admin', installed.admin_role),
      (3, 'admin', installed.daemon_role),
      (3, 'admin', installed.owner_role)
  ) as g (rank, level, role)
  join pg_catalog.pg_roles as a on a.rolname = asker
  left join pg_catalog.pg_roles as r on r.rolname = g.role
  where a.rolsuper or pg_catalog.pg_has_role(a.oid, r.oid, 'usage')
$$;

-- Purpose: what the asking role may do with rowhooks, beside pressing buttons: one row. Every role may read the view.
-- Columns: role          the asking role. In a view, unlike in a SECURITY DEFINER function, current_user is that
--          level         see rowhooks.access_level
--          is_superuser  whether it is a superuser
create or replace view rowhooks.my_access with (security_barrier) as
select
  r.rolname as role,
  rowhooks.access_level(r.rolname, i) as level,
  r.rolsuper as is_superuser
from pg_catalog.pg_roles as r
cross join rowhooks.installation as i
where r.rolname = current_user;
