-- Purpose: make the log's partitions ahead of the ids in use.
-- Parameters: width  ids a partition holds
--             ahead  partitions to have beyond the one in use
-- Returns: how many were made
-- Reads:   the sequence of rowhooks.object_change
-- The new partition is made first and then attached. ATTACH locks and scans the default partition, and writers whose changes
-- go there wait. So this is refused while the default partition holds much (see rowhooks.empty_default_partition), and it
-- fails after an instant without the lock (lock_not_available); the daemon tries again later.
create or replace function rowhooks.extend_object_change(width bigint default 1000000, ahead integer default 2)
returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
declare
  current_id bigint;
  lower_id bigint;
  partition_name pg_catalog.text;
  made integer := 0;
begin
  -- One session at a time: two daemons may start together. ATTACH takes this lock too; no writer waits for it.
  lock table only rowhooks.object_change in share update exclusive mode;
  if not rowhooks.default_partition_is_small() then
    raise exception 'rowhooks cannot make partitions of its log ahead: the default partition is full of changes'
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Empty it: rowhooks prune, or select rowhooks.empty_default_partition()';
  end if;
  select s.last_value into current_id from rowhooks.object_change_id_seq as s;
  for step in 0..ahead loop
    lower_id := (current_id / width + step) * width;
    partition_name := pg_catalog.format('object_change_%s', lower_id);
    continue when pg_catalog.to_regclass(pg_catalog.format('rowhooks.%I', partition_name)) is not null;
    -- ATTACH fails where the default partition already holds ids of this span.
    continue when exists (
      select from rowhooks.object_change_default as d where d.id >= lower_id and d.id < lower_id + width
    );
    execute pg_catalog.format(
      'create table rowhooks.%I (like rowhooks.object_change including defaults including constraints)', partition_name
    );
    execute pg_catalog.format(
      'alter table rowhooks.object_change attach partition rowhooks.%I for values from (%s) to (%s)',
      partition_name, lower_id, lower_id + width
    );
    made := made + 1;
  end loop;
  return made;
end
$$;
