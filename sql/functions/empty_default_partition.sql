-- Purpose: copy the changes of the default partition that a snapshot does not see into partitions of their own.
-- Parameters: width   ids a partition holds
--             copied  what this snapshot sees has been copied before
--             starts  the first ids of the partitions that earlier calls have made
--             ends    their last ids, exclusive
-- Returns: starts and ends with those of new partitions, and how many changes were copied
-- Reads:   rowhooks.object_change
create or replace function rowhooks.copy_default_partition(
  width bigint, copied pg_snapshot, inout starts bigint[], inout ends bigint[], out fresh bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Of the partitions of the log, to find the gap between them that an id is in.
  gap_starts bigint[];
  gap_ends bigint[];
  span_start bigint;
  span_end bigint;
  step bigint;
begin
  select
    coalesce(pg_catalog.array_agg(p.upper_id order by p.upper_id), '{}'),
    coalesce(pg_catalog.array_agg(p.lower_id order by p.lower_id), '{}')
  into gap_starts, gap_ends
  from rowhooks.log_partitions() as p;
  fresh := 0;
  for span_start, span_end in
    select
      greatest(d.base, gap_starts[d.gap]),
      least(d.base + width, gap_ends[d.gap + 1])
    from (
      select distinct c.id / width * width as base, pg_catalog.width_bucket(c.id, gap_starts) as gap
      from rowhooks.object_change_default as c
      where c.transaction_id >= pg_catalog.pg_snapshot_xmin(copied)
        and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, copied)
    ) as d
  loop
    if span_start <> all (starts) then
      perform rowhooks.make_partition(pg_catalog.format('object_change_%s', span_start), span_start, span_end);
      starts := starts || span_start;
      ends := ends || span_end;
    end if;
    -- Some changes that the snapshot does not see may have been copied with the last step.
    execute pg_catalog.format(
      'insert into rowhooks.%I select c.* from rowhooks.object_change_default as c'
      ' where c.id >= $1 and c.id < $2 and c.transaction_id >= pg_catalog.pg_snapshot_xmin($3)'
      '   and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, $3)'
      ' on conflict (id) do nothing', pg_catalog.format('object_change_%s', span_start)
    )
    using span_start, span_end, copied;
    get diagnostics step = row_count;
    fresh := fresh + step;
  end loop;
end
$$;

-- Purpose: put partitions in the place of the default partition, whose changes they hold, and an empty default partition
--          beside them. No session writes to the log meanwhile.
-- Parameters: starts  the first ids of the partitions, which are made and not attached
--             ends    their last ids, exclusive
-- Returns: nothing
-- Writes:  rowhooks.object_change
create or replace function rowhooks.replace_default_partition(starts bigint[], ends bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  alter table rowhooks.object_change detach partition rowhooks.object_change_default;
  drop table rowhooks.object_change_default;
  create table rowhooks.object_change_default partition of rowhooks.object_change default;
  for step in 1..pg_catalog.cardinality(starts) loop
    perform rowhooks.attach_partition(pg_catalog.format('object_change_%s', starts[step]), starts[step], ends[step]);
  end loop;
end
$$;

-- Purpose: move changes that are in the default partition, because none was made ahead, into partitions of their own.
-- Parameters: width  ids a partition holds
-- Returns: how many were moved; 0 when there is nothing to move, or when its lock was not available within an instant,
--          several times in a row
-- Writes:  rowhooks.object_change
-- Everything is copied before any writer has to wait, and then what was written meanwhile, until that is little. Then
-- writers are stopped for an instant, the last few changes are copied, and an empty default partition takes the place of the
-- full one: no row is deleted, and ATTACH PARTITION has nothing to scan.
create or replace function rowhooks.empty_default_partition(width bigint default 1000000) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- New changes are found by the index on transaction_id, whatever the planner knows of the table.
set enable_seqscan = off
as $$
declare
  attempts constant integer := 10;
  -- Each round has as many changes to copy as were written during the one before; it ends if they do not become few.
  most_rounds constant integer := 100;
  little constant integer := 1000;
  starts bigint[] := '{}';
  ends bigint[] := '{}';
  -- What it sees has been copied.
  copied pg_catalog.pg_snapshot := '1:1:';
  now_visible pg_catalog.pg_snapshot;
  moved bigint := 0;
  fresh bigint;
  is_locked boolean := false;
  tried integer := 0;
begin
  perform rowhooks.must_read_committed();
  if
    -- Transaction ids tell what was copied; those of another cluster do not.
    rowhooks.is_restored()
    or not exists (select from rowhooks.object_change_default)
    or not rowhooks.lock_partitions()
  then
    return 0;
  end if;
  for round in 1..most_rounds loop
    now_visible := pg_catalog.pg_current_snapshot();
    select c.starts, c.ends, c.fresh
    into starts, ends, fresh
    from rowhooks.copy_default_partition(width, copied, starts, ends) as c;
    moved := moved + fresh;
    exit when is_locked or tried = attempts;
    copied := now_visible;
    if fresh <= little then
      -- Writers must come through between two tries.
      perform pg_catalog.pg_sleep(case when tried > 0 then 0.05 else 0 end);
      tried := tried + 1;
      is_locked := rowhooks.stop_writers('{}');
    end if;
  end loop;

  if not is_locked then
    for step in 1..pg_catalog.cardinality(starts) loop
      execute pg_catalog.format('drop table rowhooks.%I', pg_catalog.format('object_change_%s', starts[step]));
    end loop;
    return 0;
  end if;
  perform rowhooks.replace_default_partition(starts, ends);
  return moved;
end
$$;
