-- name: ask_for
-- In the order of the ids, which is the one in which the leader takes them up.
insert into rowhooks.job_result (
  trigger, status, object_change_id, job_hook_id, hook_name, job_id, class_path, tracked_table, object_id, object_repr,
  action, user_name, db_user, key
)
select
  'replay', 'PENDING', c.id, h.id, h.name, j.id, j.class_path, c.tracked_table, c.object_id,
  case when (j.meta -> 'has_sensitive_variables' is distinct from 'true') then c.object_repr end,
  c.action, c.user_name, c.db_user, gen_random_uuid()::text
from rowhooks.object_change as c
cross join rowhooks.job_hook as h
join rowhooks.job as j on j.id = h.job_id
where c.id = any($1::bigint[]) and h.id = $2
order by c.id;

-- name: made_up_for
delete from rowhooks.job_hook_missed
where job_hook_id = $1 and first_at >= $2 and last_at < coalesce($3, 'infinity'::timestamptz);
