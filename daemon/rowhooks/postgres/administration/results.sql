-- Runs as the connected role may see them: see rowhooks.visible_results.

-- name: show
select
  {run}, r.transaction_id, r.result, r.exception_type, r.exception_message, r.traceback, r.inputs
from rowhooks.visible_results as r
where r.id = $1;

-- name: batch
select
  b.id, b.button_name, b.class_path, b.object_type, b.row_count, b.finished, b.states, b.user_name, b.db_user, b.login,
  b.created_at, b.finished_at
from rowhooks.visible_batches as b
where b.id = $1;

-- name: list
select
  r.id,
  r.status,
  r.trigger,
  r.original_id,
  r.class_path,
  r.hook_name,
  r.button_name,
  r.action,
  r.object_type,
  r.object_repr,
  r.object_change_id,
  r.db_user,
  r.user_name,
  r.created_at,
  r.started_at,
  r.finished_at,
  r.exception_type,
  r.exception_message,
  r.batch_id
from rowhooks.visible_results as r
where ($1::text is null or r.status = $1)
  and ($2::text is null or r.hook_name = $2)
  and ($3::text is null or r.button_name = $3)
  and ($4::text is null or r.trigger = $4)
  and ($5::text is null or r.tracked_table = any({entries}))
  and ($6::timestamptz is null or r.created_at >= $6)
  and ($7::bigint is null or r.batch_id = $7)
  and ($8::text is null or r.class_path = $8)
  and ($9::timestamptz is null or (r.created_at, r.id) < ($9, $10::bigint))
order by r.created_at desc, r.id desc
limit $11;

-- name: place
-- Where a result stands among the newest. Its values are given to `list`: a barrier hands no subquery down.
select r.created_at
from rowhooks.visible_results as r
where r.id = $1;

-- name: history
select r.id, r.status, r.created_at
from rowhooks.visible_results as r
where (r.id = $1 or r.original_id = $1) and r.id <> $2
order by r.created_at, r.id;

-- name: log_lines
select e.id, e.time, e.level, e.grouping, e.message, e.object_type, e.object_repr
from rowhooks.visible_log as e
where e.job_result_id = $1 and not (e.id = any($2::bigint[]))
order by e.time, e.id;

-- name: state
select
  r.id,
  r.status,
  r.attempt,
  r.retry_at,
  r.finished_at,
  r.result,
  r.exception_type,
  r.exception_message,
  r.traceback
from rowhooks.visible_results as r
where r.id = $1;

-- name: is_known_hook
select from rowhooks.job_hook as h where h.name = $1
union all
(select from rowhooks.visible_results as r where r.hook_name = $1 limit 1);

-- name: is_known_job
select from rowhooks.visible_results as r where r.class_path = $1 limit 1;

-- name: is_known_button
select from rowhooks.job_button as b where b.name = $1
union all
(select from rowhooks.visible_results as r where r.button_name = $1 limit 1);

-- name: hooks
select h.name from rowhooks.job_hook as h order by h.name;

-- name: buttons
select b.name from rowhooks.job_button as b order by b.name;

-- name: failed
select r.id
from rowhooks.visible_results as r
where r.status = 'FAILURE'
  and not exists (
    select from rowhooks.visible_results as n where n.original_id = coalesce(r.original_id, r.id) and n.id > r.id
  )
  and ($1::text is null or r.hook_name = $1)
  and ($2::timestamptz is null or r.created_at >= $2)
  and ($3::text is null or r.class_path = $3)
order by r.created_at, r.id;

-- noqa: disable=PRS

-- name: run
-- What is known of a run, `r`, but for what its receiver and a press have given: that may be long.
r.id, r.status, r.trigger, r.original_id, r.class_path, r.hook_name, r.button_name, r.action, r.object_type, r.object_id,
r.object_repr, r.object_change_id, r.user_name, r.db_user, r.login, r.attempt, r.retries, r.retry_at, r.created_at,
r.started_at, r.finished_at, r.key, r.batch_id, r.log_counts;

-- name: entries
-- The tables with the name $5. A condition on the name itself would be asked of each run that the role may see.
array(
  select t.id from rowhooks.tracked_table as t where rowhooks.qualified_name(t.schema_name, t.table_name) = $5
);
