-- Purpose: the log in readable form, with the table's name.
create or replace view rowhooks.changes as
select
  c.id,
  c.time,
  c.action,
  rowhooks.qualified_name(t.schema_name, t.table_name) as object_type,
  c.object_id,
  c.object_repr,
  c.prechange,
  c.postchange,
  c.user_name,
  c.db_user,
  c.request_id,
  c.change_context,
  c.receiver,
  c.capture_error,
  c.transaction_id
from rowhooks.object_change as c
left join rowhooks.tracked_table as t on c.tracked_table = t.id;

-- Purpose: the runs in readable form. A retry has its original's key: to outside systems it is the same run.
create or replace view rowhooks.results as
select
  r.id,
  r.status,
  r.trigger,
  r.original_id,
  r.class_path,
  r.hook_name,
  r.button_name,
  r.action,
  rowhooks.qualified_name(t.schema_name, t.table_name) as object_type,
  r.object_id,
  r.object_repr,
  r.object_change_id,
  r.user_name,
  r.db_user,
  r.attempt,
  r.retries,
  r.retry_at,
  r.created_at,
  r.started_at,
  r.finished_at,
  r.result,
  r.exception_type,
  r.exception_message,
  r.traceback,
  r.key,
  -- Level to number of lines. Not computed where the column is not selected.
  (
    select coalesce(pg_catalog.jsonb_object_agg(l.level, l.lines), '{}')
    from (
      select
        e.level,
        pg_catalog.count(*) as lines
      from rowhooks.job_log_entry as e
      where e.job_result_id = r.id
      group by e.level
    ) as l
  ) as log_counts,
  r.login,
  -- Those of a job with sensitive variables are there until the run has ended, and are not shown. Nor are those of a job
  -- that is gone: see rowhooks.are_inputs_sensitive.
  case
    when r.inputs is null or r.finished_at is not null then r.inputs
    when exists (
      select from rowhooks.job as j
      where j.id = r.job_id or j.id = (select b.job_id from rowhooks.job_button as b where b.id = r.job_button_id)
      having pg_catalog.bool_or(j.meta -> 'has_sensitive_variables' = 'true') is not true and pg_catalog.count(*) > 0
    ) then r.inputs
    else 'null'
  end as inputs,
  r.batch_id,
  -- The transaction that has written the row last. What a run wrote stands in the log under it. The row keeps 32 bits of its
  -- number, which mean one of the last four billion transactions; a dump does not keep them.
  (x.next - ((x.next - r.xmin::text::bigint) & 4294967295))::text::xid8 as transaction_id
from rowhooks.job_result as r
cross join (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint as next) as x
left join rowhooks.tracked_table as t on r.tracked_table = t.id;

-- Purpose: presses of several rows, each with what has become of its runs.
-- Columns: states    status to number of runs; where a run was run again, the newest counts
--          finished  how many of them have ended
create or replace view rowhooks.batches as
select
  b.id,
  b.button_name,
  b.class_path,
  rowhooks.qualified_name(t.schema_name, t.table_name) as object_type,
  b.row_count,
  s.finished,
  s.states,
  b.user_name,
  b.db_user,
  b.login,
  b.created_at,
  case when s.finished = s.runs then s.last_at end as finished_at
from rowhooks.press_batch as b
left join rowhooks.tracked_table as t on b.tracked_table = t.id
cross join lateral (
  select
    coalesce(pg_catalog.sum(c.runs), 0)::bigint as runs,
    coalesce(pg_catalog.sum(c.runs) filter (where c.is_finished), 0)::bigint as finished,
    coalesce(pg_catalog.jsonb_object_agg(c.status, c.runs) filter (where c.status is not null), '{}') as states,
    pg_catalog.max(c.last_at) as last_at
  from (
    select
      r.status,
      r.finished_at is not null as is_finished,
      pg_catalog.count(*) as runs,
      pg_catalog.max(r.finished_at) as last_at
    from rowhooks.job_result as r
    where r.batch_id = b.id
      and not exists (
        select from rowhooks.job_result as n where n.original_id = coalesce(r.original_id, r.id) and n.id > r.id
      )
    group by r.status, r.finished_at is not null
  ) as c
) as s;
