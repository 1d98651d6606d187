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
