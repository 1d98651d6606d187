-- Presses of the asking role.

-- name: one
select
  p.id,
  p.status,
  p.button_name,
  p.object_type,
  p.object_id,
  p.attempt,
  p.retry_at,
  p.created_at,
  p.started_at,
  p.finished_at,
  p.message,
  p.batch_id
from rowhooks.my_presses as p
where p.id = $1;

-- name: batch
select
  $1::bigint as id,
  min(s.button_name) as button_name,
  min(s.object_type) as object_type,
  min(s.created_at) as created_at,
  coalesce(sum(s.runs), 0)::bigint as rows,
  coalesce(sum(s.runs) filter (where s.is_finished), 0)::bigint as finished,
  coalesce(jsonb_object_agg(s.status, s.runs) filter (where s.status is not null), '{}') as states
from (
  select
    p.status,
    min(p.button_name) as button_name,
    min(p.object_type) as object_type,
    min(p.created_at) as created_at,
    bool_and(p.finished_at is not null) as is_finished,
    count(*) as runs
  from rowhooks.my_presses as p
  where p.batch_id = $1
  group by p.status
) as s;

-- name: visible_batch
-- A press of several rows by anybody, as far as the asking role may see it.
select
  b.id,
  b.button_name,
  b.object_type,
  b.created_at,
  (select coalesce(sum(s.runs::bigint), 0)::bigint from jsonb_each_text(b.states) as s (status, runs)) as rows,
  b.finished,
  b.states
from rowhooks.visible_batches as b
where b.id = $1;
