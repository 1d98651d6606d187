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
