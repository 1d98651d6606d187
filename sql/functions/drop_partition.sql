-- Purpose: drop one partition of the log. Changes whose runs have failed or not finished stay, in a partition of the same
--          bounds in its place.
-- Parameters: target  the partition's name
--             before  the moment before which everything in it must be
-- Returns: true when it is gone; false when its lock could not be had within an instant, again and again: whoever writes
--          would queue behind us for longer. To be tried again.
-- Raises:  it is not, or no longer, a partition that may go
-- Writes:  rowhooks.object_change
-- What stays is copied before anybody has to wait; under the lock, only what is new since then. It takes in what has
-- stayed of the partition below, as long as that is little, so that there is not one such partition for each dropped one.
create or replace function rowhooks.drop_partition(target name, before timestamptz) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  attempts constant integer := 10;
  -- What was kept before, and is empty by now, needs no place again.
  is_kept constant boolean := target ~ '^object_change_kept_';
  largest_neighbour constant integer := 100000;
  sources pg_catalog.name[] := array[target];
  source pg_catalog.name;
  neighbour pg_catalog.name;
  neighbour_start bigint;
  neighbour_changes bigint;
  target_start bigint;
  span_start bigint;
  span_end bigint;
  kept_name pg_catalog.name;
  kept bigint[] := '{}';
  needed bigint[];
  is_locked boolean := false;
begin
  perform rowhooks.must_read_committed();
  if not rowhooks.lock_partitions() then
    return false;
  elsif pg_catalog.to_regclass(pg_catalog.format('rowhooks.%I', target)) is null then
    -- Somebody else has pruned too.
    return true;
  end if;
  select p.lower_id, p.upper_id
  into span_start, span_end
  from rowhooks.prunable_partitions(before) as p
  where p.partition = target;
  if not found then
    raise exception 'rowhooks cannot drop %: it holds more than history, or is no partition of the log', target
      using errcode = 'object_not_in_prerequisite_state', hint = 'See: select * from rowhooks.prunable_partitions(now())';
  end if;
  target_start := span_start;
  if
    not is_kept
    and exists (
      select from rowhooks.job_result as r
      where r.object_change_id >= target_start
        and r.object_change_id < span_end
        and r.status in ('PENDING', 'STARTED', 'RETRY', 'FAILURE')
    )
  then
    if not rowhooks.default_partition_is_small() then
      return false;
    end if;
    select p.name, p.lower_id
    into neighbour, neighbour_start
    from rowhooks.log_partitions() as p
    where p.upper_id = span_start and p.name ~ '^object_change_kept_' and rowhooks.is_history(p.name, before);
    if found then
      execute pg_catalog.format('select count(*) from rowhooks.%I', neighbour) into neighbour_changes;
      if neighbour_changes <= largest_neighbour then
        sources := sources || neighbour;
        span_start := neighbour_start;
      end if;
    end if;
  end if;

  kept_name := pg_catalog.format('object_change_kept_%s', span_end);
  -- The first time nothing is locked; then, until the lock is had.
  for attempt in 0..attempts loop
    if attempt > 0 then
      is_locked := rowhooks.stop_writers(sources);
    end if;
    needed := array(
      select r.object_change_id
      from rowhooks.job_result as r
      where r.object_change_id >= target_start
        and r.object_change_id < span_end
        and r.status in ('PENDING', 'STARTED', 'RETRY', 'FAILURE')
        and not is_kept
      except
      select k.id from pg_catalog.unnest(kept) as k (id)
    );
    if pg_catalog.cardinality(needed) > 0 then
      if pg_catalog.cardinality(kept) = 0 then
        perform rowhooks.make_partition(kept_name, span_start, span_end);
        -- As a whole: what runs need of it does not have to be looked after any more.
        foreach source in array sources[2:] loop
          execute pg_catalog.format('insert into rowhooks.%I select c.* from rowhooks.%I as c', kept_name, source);
        end loop;
      end if;
      execute pg_catalog.format(
        'insert into rowhooks.%I select c.* from pg_catalog.unnest($1) as n (id) join rowhooks.%I as c on c.id = n.id',
        kept_name, target
      )
      using needed;
      kept := kept || needed;
    end if;
    exit when is_locked;
    -- Whoever writes must come through between two tries.
    perform pg_catalog.pg_sleep(case when attempt > 0 then 0.05 else 0 end);
  end loop;

  -- A transaction that was open until now may have left a change that is not dealt with.
  if
    is_locked
    and (select pg_catalog.bool_and(rowhooks.is_history(s.name, before)) from pg_catalog.unnest(sources) as s (name))
  then
    if pg_catalog.cardinality(kept) = 0 then
      -- Nothing was needed any more when it was to be copied: what has stayed of the partition below stays there.
      sources := array[target];
    end if;
    foreach source in array sources loop
      execute pg_catalog.format('alter table rowhooks.object_change detach partition rowhooks.%I', source);
      execute pg_catalog.format('drop table rowhooks.%I', source);
    end loop;
    if pg_catalog.cardinality(kept) > 0 then
      perform rowhooks.attach_partition(kept_name, span_start, span_end);
    end if;
    return true;
  end if;
  if pg_catalog.cardinality(kept) > 0 then
    execute pg_catalog.format('drop table rowhooks.%I', kept_name);
  end if;
  return false;
end
$$;
