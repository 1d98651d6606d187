-- Purpose: say whether a change is done with: it is older than a moment, the feed has put it behind its stored position, and
--          no run needs it that has not finished or has failed (it may be run again).
-- Parameters: change  a row of the log
--             before  the moment
-- Returns: true when it may go
-- Reads:   rowhooks.feed, rowhooks.job_result
create or replace function rowhooks.is_done_with(change rowhooks.object_change, before timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select change.time < before
    and pg_catalog.pg_visible_in_snapshot(change.transaction_id, f.snapshot)
    -- After a restore transaction ids mean nothing, until a leader has found the feed's place anew.
    and f.system_identifier = (select s.system_identifier from pg_catalog.pg_control_system() as s)
    and not exists (
      select from rowhooks.job_result as r
      where r.object_change_id = change.id and r.status in ('PENDING', 'STARTED', 'RETRY', 'FAILURE')
    )
  from rowhooks.feed as f
$$;

-- Purpose: list the partitions of the log, but for the default one.
-- Returns: name, bounds (the upper one exclusive) and the planner's estimate of the rows of each
create or replace function rowhooks.log_partitions()
returns table (name name, lower_id bigint, upper_id bigint, changes bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select c.relname, b.bounds[1]::bigint, b.bounds[2]::bigint, greatest(c.reltuples, 0)::bigint
  from pg_catalog.pg_inherits as i
  join pg_catalog.pg_class as c on c.oid = i.inhrelid
  cross join lateral pg_catalog.regexp_match(
    pg_catalog.pg_get_expr(c.relpartbound, c.oid), $r$FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)$r$
  ) as b (bounds)
  where i.inhparent = 'rowhooks.object_change'::pg_catalog.regclass and b.bounds is not null
$$;

-- Purpose: list the partitions of the log that hold no more than history: every id of theirs has been drawn, their last
--          change is older than a moment, and the feed has dealt with all of them.
-- Parameters: before  the moment
-- Returns: name, bounds and the planner's estimate of the rows of each, oldest first
-- Reads:   rowhooks.object_change, rowhooks.feed
create or replace function rowhooks.prunable_partitions(before timestamptz)
returns table (partition name, lower_id bigint, upper_id bigint, changes bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  drawn constant bigint := (select s.last_value from rowhooks.object_change_id_seq as s);
  feed rowhooks.feed;
  is_history boolean;
begin
  select f.* into strict feed from rowhooks.feed as f;
  if feed.system_identifier <> (select s.system_identifier from pg_catalog.pg_control_system() as s) then
    return;
  end if;
  for partition, lower_id, upper_id, changes in
    select p.name, p.lower_id, p.upper_id, p.changes
    from rowhooks.log_partitions() as p
    where p.upper_id <= drawn
    order by p.lower_id
  loop
    -- By the indexes: the youngest by its id, and those of transactions that the feed's snapshot does not see.
    execute pg_catalog.format(
      'select coalesce((select c.time < $1 from rowhooks.%1$I as c order by c.id desc limit 1), true) '
      'and not exists ('
      '  select from rowhooks.%1$I as c'
      '  where c.transaction_id >= pg_catalog.pg_snapshot_xmin($2)'
      '    and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, $2)'
      ')', partition
    )
    into is_history
    using before, feed.snapshot;
    if is_history then
      return next;
    end if;
  end loop;
end
$$;

-- Purpose: drop one partition of the log. Changes whose runs have failed or not finished stay, in the default partition.
-- Parameters: target  the partition's name
--             before  the moment before which everything in it must be
-- Returns: true when it was dropped; false when its lock could not be had within an instant: whoever writes would queue
--          behind us for longer. To be tried again.
-- Raises:  it is not, or no longer, a partition that may go
-- Writes:  rowhooks.object_change
create or replace function rowhooks.drop_partition(target name, before timestamptz) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
begin
  -- What is history stays history; looked up before anybody has to wait.
  if not exists (select from rowhooks.prunable_partitions(before) as p where p.partition = target) then
    raise exception 'rowhooks cannot drop %: it holds more than history, or is no partition of the log', target
      using errcode = 'object_not_in_prerequisite_state', hint = 'See: select * from rowhooks.prunable_partitions(now())';
  end if;
  begin
    -- Taken by DETACH and DROP in any case; first, so that nothing is done before it is had.
    lock table only rowhooks.object_change, rowhooks.object_change_default in access exclusive mode;
  exception when lock_not_available then
    return false;
  end;
  execute pg_catalog.format('alter table rowhooks.object_change detach partition rowhooks.%I', target);
  execute pg_catalog.format(
    'insert into rowhooks.object_change select c.* from rowhooks.%I as c where c.id in ('
    '  select r.object_change_id from rowhooks.job_result as r'
    '  where r.status = any ($1) and r.object_change_id is not null'
    ')', target
  )
  using array['PENDING', 'STARTED', 'RETRY', 'FAILURE'];
  execute pg_catalog.format('drop table rowhooks.%I', target);
  return true;
end
$$;

-- Purpose: delete the next batch of old changes row by row: those in partitions that hold younger ones too.
-- Parameters: before    changes from before this moment
--             batch     how many rows to look at: what a call does is bounded, whatever it finds
--             after_id  where to go on
--             dry_run   delete nothing, only count
-- Returns: how many it deleted, and the id to go on after; null where there is nothing old beyond it
-- Writes:  rowhooks.object_change
create or replace function rowhooks.prune_changes(
  before timestamptz, batch integer default 5000, after_id bigint default 0, dry_run boolean default false
) returns table (deleted bigint, last_id bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  chosen bigint[];
begin
  if before is null or batch is null or batch < 1 then
    raise exception 'rowhooks.prune_changes: a moment and a batch of 1 or more are needed'
      using errcode = 'invalid_parameter_value', hint = 'For example: now() - interval ''90 days''';
  end if;
  select
    pg_catalog.array_agg(c.id) filter (where rowhooks.is_done_with(c, before)),
    case when pg_catalog.count(*) = batch and pg_catalog.bool_or(c.time < before) then pg_catalog.max(c.id) end
  into chosen, last_id
  from (
    select l.*
    from rowhooks.object_change as l
    where l.id > prune_changes.after_id
    order by l.id
    limit batch
  ) as c;
  deleted := coalesce(pg_catalog.cardinality(chosen), 0);
  if deleted > 0 and not dry_run then
    delete from rowhooks.object_change as c where c.id = any (chosen);
  end if;
  return next;
end
$$;

-- Purpose: move changes that fell into the default partition, because none was made ahead, into a partition of their own.
-- Parameters: width  ids a partition holds
-- Returns: how many were moved; 0 when there is nothing to move, or its lock could not be had within an instant
-- Writes:  rowhooks.object_change
-- One span of ids a call, and only one whose ids have all been drawn: nobody writes to it, so that nobody waits. Spans
-- below every partition stay: what is there was left behind by rowhooks.drop_partition.
create or replace function rowhooks.empty_default_partition(width bigint default 1000000) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
declare
  drawn constant bigint := (select s.last_value from rowhooks.object_change_id_seq as s);
  lowest constant bigint := (select pg_catalog.min(p.lower_id) from rowhooks.log_partitions() as p);
  span_start bigint;
  partition_name pg_catalog.text;
  moved bigint;
begin
  select pg_catalog.min(d.id) / width * width
  into span_start
  from rowhooks.object_change_default as d
  where d.id >= coalesce(lowest, 0);
  if span_start is null or span_start + width > drawn then
    return 0;
  end if;
  begin
    lock table rowhooks.object_change_default in access exclusive mode;
  exception when lock_not_available then
    return 0;
  end;
  partition_name := pg_catalog.format('object_change_%s', span_start);
  execute pg_catalog.format(
    'create table rowhooks.%I (like rowhooks.object_change including defaults including constraints)', partition_name
  );
  execute pg_catalog.format(
    'with moved as ('
    '  delete from rowhooks.object_change_default as d where d.id >= %2$s and d.id < %3$s returning d.*'
    ') insert into rowhooks.%1$I select m.* from moved as m', partition_name, span_start, span_start + width
  );
  get diagnostics moved = row_count;
  execute pg_catalog.format(
    'alter table rowhooks.object_change attach partition rowhooks.%I for values from (%s) to (%s)',
    partition_name, span_start, span_start + width
  );
  return moved;
end
$$;
