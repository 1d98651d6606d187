-- Purpose: say whether a role may press a button. The one rule: superusers, the daemon's role, and whom the button names.
-- Parameters: presser      the role, by name
--             roles        rowhooks.job_button.roles: members of these may press; `public` means everybody, and a role
--                          that does not exist means nobody
--             daemon_role  rowhooks.installation.daemon_role
-- Returns: true or false, never null: what is not allowed is denied
-- Reads:   the roles of the cluster, which everybody may read, and nothing of rowhooks'. Everybody may execute this: a
--          view's functions run with the rights of who reads the view.
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
