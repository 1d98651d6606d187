-- Purpose: begin another history where the log continues in another cluster or another database: from then on, keys of runs
--          differ from those of the database that the log was taken from, which may continue too.
-- Returns: whether the log has come to another database
-- Writes:  rowhooks.feed, rowhooks.job_result (key)
-- A run that has begun keeps its key, and so does one that repeats another: to outside systems it is the same run. A run
-- that was only requested, or waits for its turn, has not used its key yet.
create or replace function rowhooks.begin_history() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update rowhooks.feed as f
  set history = pg_catalog.gen_random_uuid(), database_oid = d.oid
  from pg_catalog.pg_database as d
  where d.datname = pg_catalog.current_database()
    and (
      d.oid <> f.database_oid
      or f.system_identifier <> (select c.system_identifier from pg_catalog.pg_control_system() as c)
    );
  if not found then
    return false;
  end if;
  update rowhooks.job_result as r
  set key = pg_catalog.gen_random_uuid()::text
  where r.status = 'PENDING' and r.attempt = 1 and r.retries = 0 and r.original_id is null;
  return true;
end
$$;
