-- How the log's partitions are exchanged. What takes long is done first, in tables that do not belong to the log yet. The lock
-- that writers wait for is taken last, for the instant of DETACH and ATTACH. Everything is one transaction: a crash at any time
-- leaves the log as it was.

-- Purpose: refuse a transaction whose statements share one snapshot: it would miss what others commit meanwhile.
-- Returns: nothing
create or replace function rowhooks.must_read_committed() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'rowhooks cannot exchange partitions of its log in a transaction that is %', pg_catalog.current_setting('transaction_isolation')
      using
        errcode = 'active_sql_transaction',
        hint = 'Begin with: set transaction isolation level read committed';
  end if;
end
$$;

-- Purpose: make a table, with the log's indexes, that can become a partition of the log without a scan.
-- Parameters: partition  its name
--             lower_id, upper_id  its bounds, the upper one exclusive
-- Returns: nothing
-- The CHECK spares ATTACH PARTITION its scan. It goes when that is done: it would be parsed for each row that is written.
create or replace function rowhooks.make_partition(partition name, lower_id bigint, upper_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute pg_catalog.format(
    'create table rowhooks.%I (like rowhooks.object_change including defaults including constraints including indexes, '
    'constraint object_change_bounds check (id >= %s and id < %s))', partition, lower_id, upper_id
  );
end
$$;

-- Purpose: make a table of rowhooks.make_partition part of the log.
-- Parameters: as there
-- Returns: nothing
-- Writes:  rowhooks.object_change
create or replace function rowhooks.attach_partition(partition name, lower_id bigint, upper_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute pg_catalog.format(
    'alter table rowhooks.object_change attach partition rowhooks.%I for values from (%s) to (%s)',
    partition, lower_id, upper_id
  );
  execute pg_catalog.format('alter table rowhooks.%I drop constraint object_change_bounds', partition);
end
$$;

-- Purpose: say whether the default partition is so small that ATTACH PARTITION, which scans it under its lock, takes no
--          longer than an instant.
-- Returns: true where it is
create or replace function rowhooks.default_partition_is_small() returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.pg_relation_size('rowhooks.object_change_default') <= 8 * 1024 * 1024
$$;

-- Purpose: make sure that no other session exchanges partitions until this transaction ends. Writers and readers do not wait
--          for this lock, and only the owner of the log can take it.
-- Returns: false where another session does
create or replace function rowhooks.lock_partitions() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
begin
  lock table only rowhooks.object_change in share update exclusive mode;
  return true;
exception when lock_not_available then
  return false;
end
$$;

-- Purpose: stop all writers of the log until this transaction ends, if the lock is available within an instant: other
--          sessions queue behind a lock that is waited for.
-- Parameters: partitions  those that are about to be detached
-- Returns: false where the lock was not available
create or replace function rowhooks.stop_writers(partitions name[]) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
declare
  partition pg_catalog.name;
begin
  lock table only rowhooks.object_change in access exclusive mode;
  -- Writers have stopped by now, so there is no second wait.
  foreach partition in array partitions || 'object_change_default'::pg_catalog.name loop
    execute pg_catalog.format('lock table only rowhooks.%I in access exclusive mode nowait', partition);
  end loop;
  return true;
exception when lock_not_available then
  return false;
end
$$;
