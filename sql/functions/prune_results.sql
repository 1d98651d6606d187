-- Purpose: say which of the next results are deleted.
-- Parameters: before          runs that finished before that time
--             batch           how many rows to look at
--             after_id        ids up to this one are passed over
--             include_failed  failures too
-- Returns: id, whether the row is older than `before`, and whether it goes
-- Reads:   rowhooks.job_result, rowhooks.object_change, rowhooks.feed
--
-- What stays, however old:
-- - Runs that have not finished.
-- - Failures, unless include_failed is given, and the retries of a failure: they say what became of it.
-- - Runs of changes that the feed has not yet put behind its stored position. After a crash it reads from there again,
--   and only the unique row (change, hook) tells it that a run has been recorded. A change is behind the position if the
--   stored snapshot sees it; or, in a batch in hand, if the batch's snapshot sees it and its id is not above after_id.
--   The id alone would not do: a transaction that stayed open holds lower ids than what was read before it. Nor is it
--   enough that no batch is in hand: the position is stored after the runs, and a receiver that has used its session
--   puts its run on record by itself. The position only moves forward, so what is behind it as this statement sees it
--   stays so. A change that is no longer in the log cannot be read again. Presses, replays and retries, which the feed
--   does not start, have no part in this.
create or replace function rowhooks.results_to_prune(
  before timestamptz, batch integer, after_id bigint, include_failed boolean
) returns table (id bigint, is_old boolean, goes boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    r.id,
    r.created_at < before as is_old,
    r.finished_at < before
    and (include_failed or r.status <> 'FAILURE')
    and (
      include_failed
      or r.original_id is null
      or not exists (select from rowhooks.job_result as o where o.id = r.original_id and o.status = 'FAILURE')
    )
    and (
      r.trigger <> 'change'
      or r.original_id is not null
      or not exists (
        select from rowhooks.object_change as c
        where c.id = r.object_change_id
          and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, f.snapshot)
          and (
            f.target is null
            or c.id > f.after_id
            or not pg_catalog.pg_visible_in_snapshot(c.transaction_id, f.target)
          )
      )
    ) as goes
  from rowhooks.job_result as r
  cross join rowhooks.feed as f
  where r.id > results_to_prune.after_id
  order by r.id
  limit batch
$$;

-- Purpose: delete the next batch of old results, with their log entries. Called again with last_id until that is null.
-- Parameters: older_than      runs that finished longer ago than that
--             batch           how many rows to look at: what a call does is bounded, whatever it finds
--             after_id        where to go on: ids up to this one are passed over, so that each kept row is looked at only once
--             include_failed  failures too
--             dry_run         delete nothing, only count
-- Returns: how many runs it deleted, and the id to go on after; null where there is nothing old beyond it. Ids rise with
--          time, apart from the blocks of ids that a daemon holds: a row that is missed for that reason goes the next time.
-- Writes:  rowhooks.job_result, rowhooks.job_log_entry, rowhooks.press_batch
--
-- Once the result of a press is deleted, its idempotency key can be used again.
create or replace function rowhooks.prune_results(
  older_than interval, batch integer default 5000, after_id bigint default 0, include_failed boolean default false,
  dry_run boolean default false
) returns table (deleted bigint, last_id bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before constant pg_catalog.timestamptz := pg_catalog.now() - older_than;
  chosen bigint[];
  batches bigint[];
begin
  if older_than is null or older_than < '0' then
    raise exception 'rowhooks.prune_results: older_than must be zero or more, not %', coalesce(older_than::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'For example: interval ''90 days''';
  elsif batch is null or batch < 1 then
    raise exception 'rowhooks.prune_results: batch must be 1 or more, not %', coalesce(batch::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Leave it out for 5000.';
  end if;
  select
    pg_catalog.array_agg(l.id) filter (where l.goes),
    case when pg_catalog.count(*) = batch and pg_catalog.bool_or(l.is_old) then pg_catalog.max(l.id) end
  into chosen, last_id
  from rowhooks.results_to_prune(before, batch, after_id, include_failed) as l;
  deleted := coalesce(pg_catalog.cardinality(chosen), 0);
  if deleted > 0 and not dry_run then
    delete from rowhooks.job_log_entry as e where e.job_result_id = any (chosen);
    with gone as (
      delete from rowhooks.job_result as r where r.id = any (chosen) returning r.batch_id
    )
    select pg_catalog.array_agg(distinct g.batch_id) into batches from gone as g where g.batch_id is not null;
    delete from rowhooks.press_batch as b
    where b.id = any (batches) and not exists (select from rowhooks.job_result as r where r.batch_id = b.id);
  end if;
  return next;
end
$$;
