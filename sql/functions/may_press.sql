-- Purpose: say whether a role may press a button. Superusers, the daemon's role, and members of the roles that the
--          button names may.
-- Parameters: presser      the role, by name
--             roles        rowhooks.job_button.roles: members of these may press; `public` means every role, and a role
--                          that does not exist means none
--             daemon_role  rowhooks.installation.daemon_role
-- Returns: true or false, never null
-- Reads:   the roles of the cluster, which every role may read, and no table of rowhooks. Every role may execute this: a
--          view's functions run with the rights of the view's reader.
create or replace function rowhooks.may_press(presser name, roles text[], daemon_role name) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    coalesce('public' = any (roles), false)
    or exists (
      select from pg_catalog.pg_roles as p
      where p.rolname = presser
        and (
          p.rolsuper
          or exists (
            select from pg_catalog.pg_roles as r
            where (r.rolname = daemon_role or r.rolname::pg_catalog.text = any (roles))
              and pg_catalog.pg_has_role(p.oid, r.oid, 'member')
          )
        )
    )
$$;
