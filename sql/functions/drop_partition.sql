-- Purpose: list the changes between two ids whose runs have failed or not finished.
-- Parameters: lower_id, upper_id  the bounds, the upper one exclusive
-- Returns: rowhooks.object_change.id of each
-- Reads:   rowhooks.job_result
create or replace function rowhooks.needed_changes(lower_id bigint, upper_id bigint) returns setof bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select r.object_change_id
  from rowhooks.job_result as r
  where r.object_change_id >= lower_id
    and r.object_change_id < upper_id
    and r.status in ('PENDING', 'STARTED', 'RETRY', 'FAILURE')
$$;

-- Purpose: find the partition below another one that holds kept changes, if it is history and so small that it can be taken
--          into the next one.
-- Parameters: upper_id  the id where it ends, exclusive
--             before    the moment before which everything in it must be
-- Returns: its name and the id where it begins; nulls where there is none
-- Reads:   rowhooks.object_change, rowhooks.feed
create or replace function rowhooks.kept_neighbour(
  upper_id bigint, before timestamptz, out partition name, out lower_id bigint
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  largest_neighbour constant integer := 100000;
  changes bigint;
begin
  select p.name, p.lower_id
  into partition, lower_id
  from rowhooks.log_partitions() as p
  where p.upper_id = kept_neighbour.upper_id and p.name ~ '^object_change_kept_' and rowhooks.is_history(p.name, before);
  if found then
    execute pg_catalog.format('select count(*) from rowhooks.%I', partition) into changes;
    if changes > largest_neighbour then
      partition := null;
      lower_id := null;
    end if;
  end if;
end
$$;

-- Purpose: copy changes that runs still need out of a partition, into one that is to take its place.
-- Parameters: target               the partition
--             neighbour            the partition of kept changes that is taken in with it; null for none
--             kept_name            the new partition, which the first call makes
--             lower_id, upper_id   its bounds, the upper one exclusive
--             needed               the changes
--             is_first             nothing has been copied yet
-- Returns: nothing
-- Reads:   rowhooks.object_change
create or replace function rowhooks.keep_changes(
  target name, neighbour name, kept_name name, lower_id bigint, upper_id bigint, needed bigint[], is_first boolean
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if is_first then
    perform rowhooks.make_partition(kept_name, lower_id, upper_id);
    if neighbour is not null then
      -- As a whole: what runs need of it has been found out before.
      execute pg_catalog.format('insert into rowhooks.%I select c.* from rowhooks.%I as c', kept_name, neighbour);
    end if;
  end if;
  execute pg_catalog.format(
    'insert into rowhooks.%I select c.* from pg_catalog.unnest($1) as n (id) join rowhooks.%I as c on c.id = n.id',
    kept_name, target
  )
  using needed;
end
$$;

-- Purpose: copy the changes that runs still need out of a partition, into one that is to take its place; at first without a
--          lock, then what is new, until the lock is available.
-- Parameters: target               the partition
--             neighbour            the partition of kept changes that is taken in with it; null for none
--             kept_name            the new partition, which is made where there is something to keep
--             lower_id, upper_id   its bounds, the upper one exclusive
--             start_id             the first id of the partition
-- Returns: kept       the changes that were copied
--          is_locked  the partitions are locked; false where the lock was not available, several times in a row
-- Reads:   rowhooks.object_change, rowhooks.job_result
create or replace function rowhooks.copy_and_lock(
  target name, neighbour name, kept_name name, lower_id bigint, upper_id bigint, start_id bigint,
  out kept bigint[], out is_locked boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  attempts constant integer := 10;
  -- A partition of kept changes is dropped once it is empty: nothing of it needs a place again.
  is_kept constant boolean := target ~ '^object_change_kept_';
  needed bigint[];
begin
  kept := '{}';
  is_locked := false;
  for attempt in 0..attempts loop
    if attempt > 0 then
      is_locked := rowhooks.stop_writers(pg_catalog.array_remove(array[target, neighbour], null));
    end if;
    needed := array(
      select n.id from rowhooks.needed_changes(start_id, upper_id) as n (id)
      where not is_kept
      except
      select k.id from pg_catalog.unnest(kept) as k (id)
    );
    if pg_catalog.cardinality(needed) > 0 then
      perform rowhooks.keep_changes(target, neighbour, kept_name, lower_id, upper_id, needed, is_first => kept = '{}');
      kept := kept || needed;
    end if;
    exit when is_locked;
    -- Writers must come through between two tries.
    perform pg_catalog.pg_sleep(case when attempt > 0 then 0.05 else 0 end);
  end loop;
end
$$;

-- Purpose: exchange partitions of the log that are locked for one that holds what was kept of them.
-- Parameters: sources              the partitions, which are dropped
--             kept_name            the one that takes their place; null for none
--             lower_id, upper_id   its bounds, the upper one exclusive
-- Returns: nothing
-- Writes:  rowhooks.object_change
create or replace function rowhooks.exchange_partitions(
  sources name[], kept_name name, lower_id bigint, upper_id bigint
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  source pg_catalog.name;
begin
  foreach source in array sources loop
    execute pg_catalog.format('alter table rowhooks.object_change detach partition rowhooks.%I', source);
    execute pg_catalog.format('drop table rowhooks.%I', source);
  end loop;
  if kept_name is not null then
    perform rowhooks.attach_partition(kept_name, lower_id, upper_id);
  end if;
end
$$;

-- Purpose: drop one partition of the log. Changes whose runs have failed or not finished stay, in a partition of the same
--          bounds in its place.
-- Parameters: target  the partition's name
--             before  the moment before which everything in it must be
-- Returns: true when it is gone; false when its lock was not available within an instant, several times in a row: writers
--          would queue behind a longer wait. It can be tried again later.
-- Raises:  it is not, or no longer, a partition that may go
-- Writes:  rowhooks.object_change
-- What stays is copied before any writer has to wait; under the lock, only what is new since then. A small partition of kept
-- changes below this one is taken in, so that there is not one such partition for each dropped one.
create or replace function rowhooks.drop_partition(target name, before timestamptz) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  start_id bigint;
  end_id bigint;
  neighbour pg_catalog.name;
  neighbour_start bigint;
  sources pg_catalog.name[];
  kept_name pg_catalog.name;
  kept bigint[];
  is_locked boolean;
begin
  perform rowhooks.must_read_committed();
  if not rowhooks.lock_partitions() then
    return false;
  elsif pg_catalog.to_regclass(pg_catalog.format('rowhooks.%I', target)) is null then
    -- Another session has pruned too.
    return true;
  end if;
  select p.lower_id, p.upper_id into start_id, end_id from rowhooks.prunable_partitions(before) as p where p.partition = target;
  if not found then
    raise exception 'rowhooks cannot drop %: it holds more than history, or is no partition of the log', target
      using errcode = 'object_not_in_prerequisite_state', hint = 'See: select * from rowhooks.prunable_partitions(now())';
  end if;
  if target !~ '^object_change_kept_' and exists (select from rowhooks.needed_changes(start_id, end_id)) then
    if not rowhooks.default_partition_is_small() then
      return false;
    end if;
    select n.partition, n.lower_id into neighbour, neighbour_start from rowhooks.kept_neighbour(start_id, before) as n;
  end if;
  sources := pg_catalog.array_remove(array[target, neighbour], null);
  kept_name := pg_catalog.format('object_change_kept_%s', end_id);

  select c.kept, c.is_locked
  into kept, is_locked
  from rowhooks.copy_and_lock(target, neighbour, kept_name, coalesce(neighbour_start, start_id), end_id, start_id) as c;

  -- A transaction that was open until now may have left a change that is not dealt with.
  if is_locked and (select pg_catalog.bool_and(rowhooks.is_history(s.name, before)) from pg_catalog.unnest(sources) as s (name)) then
    -- Where nothing was needed any more when it was to be copied, the neighbour stays as it is.
    perform rowhooks.exchange_partitions(
      case when kept = '{}' then array[target] else sources end, case when kept <> '{}' then kept_name end,
      coalesce(neighbour_start, start_id), end_id
    );
    return true;
  elsif kept <> '{}' then
    execute pg_catalog.format('drop table rowhooks.%I', kept_name);
  end if;
  return false;
end
$$;
