-- Purpose: say whether the running statement belongs to a hook receiver.
-- Returns: true when the session variable rowhooks.receiver is set and the login is a member of the daemon's role or of the
--          receivers'. Any session may set the variable; for other logins it has no effect.
-- Reads:   rowhooks.installation
create or replace function rowhooks.is_receiver() returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(pg_catalog.current_setting('rowhooks.receiver', true), '') <> ''
    and exists (
      select from rowhooks.installation as i
      join pg_catalog.pg_roles as r on r.rolname in (i.daemon_role, i.receiver_role)
      where pg_catalog.pg_has_role(session_user, r.oid, 'member')
    )
$$;
