-- Purpose: stamp a job or a hook with the snapshot in which it is enabled, so that changes from before do not start it when
--          they are read later.
-- Returns: the new row (BEFORE row-level trigger function of rowhooks.job and rowhooks.job_hook)
create or replace function rowhooks.stamp_enabled_since() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not new.enabled then
    new.enabled_since := null;
  elsif tg_op = 'INSERT' or not old.enabled then
    new.enabled_since := pg_catalog.pg_current_snapshot();
  end if;
  return new;
end
$$;
