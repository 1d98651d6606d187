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

-- Purpose: say whether the log was restored from another cluster, and no leader has found the feed's place in it yet:
--          until then its transaction ids mean nothing.
-- Returns: true where it was
-- Reads:   rowhooks.feed
create or replace function rowhooks.is_restored() returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select f.system_identifier <> s.system_identifier from rowhooks.feed as f, pg_catalog.pg_control_system() as s
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

-- Purpose: say whether a partition of the log holds no more than history: its last change is older than a moment, and the
--          feed has dealt with all of them.
-- Parameters: partition  its name
--             before     the moment
-- Returns: true where it does
-- Reads:   rowhooks.object_change, rowhooks.feed
create or replace function rowhooks.is_history(partition name, before timestamptz) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  dealt_with constant pg_catalog.pg_snapshot := (select f.snapshot from rowhooks.feed as f);
  is_history boolean;
begin
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
  using before, dealt_with;
  return is_history;
end
$$;

-- Purpose: list the partitions of the log that can be dropped: every id of theirs has been drawn, and they hold no more
--          than history. What rowhooks.drop_partition has kept of others is listed once it is empty.
-- Parameters: before  the moment before which everything in them must be
-- Returns: name, bounds and the planner's estimate of the rows of each, oldest first
-- Reads:   rowhooks.object_change, rowhooks.feed
create or replace function rowhooks.prunable_partitions(before timestamptz)
returns table (partition name, lower_id bigint, upper_id bigint, changes bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  drawn constant bigint := (select s.last_value from rowhooks.object_change_id_seq as s);
  holds_changes boolean;
begin
  if rowhooks.is_restored() then
    return;
  end if;
  for partition, lower_id, upper_id, changes in
    select p.name, p.lower_id, p.upper_id, p.changes
    from rowhooks.log_partitions() as p
    where p.upper_id <= drawn
    order by p.lower_id
  loop
    if partition ~ '^object_change_kept_' then
      execute pg_catalog.format('select exists (select from rowhooks.%I)', partition) into holds_changes;
      continue when holds_changes;
    end if;
    if rowhooks.is_history(partition, before) then
      return next;
    end if;
  end loop;
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
