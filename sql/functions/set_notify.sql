-- Purpose: choose whether the bell is a NOTIFY. PostgreSQL refuses to prepare a transaction for two-phase commit that has
--          executed NOTIFY; without it tracked tables can be written in such transactions, and the daemon polls instead.
-- Parameters: wanted  true for NOTIFY
-- Returns: nothing
-- Writes:  rowhooks.installation, and the capture functions: asking at each row would cost each row
-- It runs with the caller's rights. The caller must own schema rowhooks.
create or replace function rowhooks.set_notify(wanted boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update rowhooks.installation set notify = wanted where notify <> wanted;
  if found then
    update rowhooks.configuration set version = version + 1;
    -- In both cases, so that a daemon that waits for the bell is woken.
    if pg_catalog.pg_notification_queue_usage() < 0.5 then
      perform pg_catalog.pg_notify('rowhooks', '');
    end if;
  end if;
  perform rowhooks.build_capture(t.id), rowhooks.hand_over(t.id)
  from rowhooks.tracked_table as t
  join pg_catalog.pg_class as c on c.oid = t.relation
  where t.untracked_at is null;
end
$$;
