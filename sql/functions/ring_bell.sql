-- Purpose: wake the leader up. Called by the capture functions after their insert and by every change of
--          configuration. The message carries no data: the daemon reads the log.
-- Returns: nothing
-- rowhooks.set_notify replaces its body.
create or replace function rowhooks.ring_bell() returns void
language sql security definer
set search_path = ''
as $$select pg_catalog.pg_notify('rowhooks', '')$$;
