-- Purpose: raise the configuration's version in the transaction that changes a job, a hook or a button, and wake the
--          leader up. Such transactions wait for each other.
-- Returns: null (statement-level trigger function)
-- Writes:  rowhooks.configuration
create or replace function rowhooks.configuration_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update rowhooks.configuration set version = version + 1;
  perform rowhooks.ring_bell();
  return null;
end
$$;

-- Purpose: the same for a tracked table. Users make and alter tables in long transactions, which must not wait for each other:
--          so each row has its own revision, and their sum is added to the version.
-- Returns: the new row (BEFORE row-level trigger function of rowhooks.tracked_table)
create or replace function rowhooks.tracked_table_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  new.revision := pg_catalog.nextval('rowhooks.tracked_table_revision_seq');
  perform rowhooks.ring_bell();
  return new;
end
$$;

-- Purpose: the version of the whole configuration, in the snapshot of the running statement. It never goes back.
-- Returns: the version
-- Reads:   rowhooks.configuration, rowhooks.tracked_table
create or replace function rowhooks.configuration_version() returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select c.version + coalesce((select pg_catalog.sum(t.revision) from rowhooks.tracked_table as t), 0)::bigint
  from rowhooks.configuration as c
$$;
