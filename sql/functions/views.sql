-- Purpose: the log as people read it, with the table's name.
create or replace view rowhooks.changes as
select
  c.id,
  c.time,
  c.action,
  format('%s.%s', t.schema_name, t.table_name) as object_type,
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

-- Purpose: the runs as people read them.
create or replace view rowhooks.results as
select
  r.id,
  r.status,
  r.class_path,
  r.hook_name,
  r.action,
  format('%s.%s', t.schema_name, t.table_name) as object_type,
  r.object_id,
  r.object_repr,
  r.object_change_id,
  r.user_name,
  r.attempt,
  r.created_at,
  r.started_at,
  r.finished_at,
  r.result,
  r.exception_type,
  r.exception_message,
  r.traceback,
  format('%s:%s:%s', i.id, r.object_change_id, r.job_hook_id) as key
from rowhooks.job_result as r
cross join rowhooks.installation as i
left join rowhooks.tracked_table as t on r.tracked_table = t.id;
