-- Purpose: wake the leader up for a run that somebody asks for: a press, a retry, a replay.
-- Returns: null (AFTER INSERT row-level trigger function of rowhooks.job_result, where lease is null: the leader's own
--          inserts, which carry its lease, are passed over by the trigger's WHEN and call nothing)
-- It is the owner's, so that whoever may ask for a run needs no right on the bell. However many rows a transaction
-- inserts, PostgreSQL sends one message.
create or replace function rowhooks.run_asked_for() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhooks.ring_bell();
  return null;
end
$$;
