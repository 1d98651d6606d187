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
  r.login
from rowhooks.job_result as r
left join rowhooks.tracked_table as t on r.tracked_table = t.id;
