-- name: jobs
select
  j.id,
  j.class_path,
  j.kind,
  j.name,
  j.grouping,
  j.description,
  j.hidden,
  j.enabled,
  j.installed,
  j.meta,
  j.inputs_schema,
  (select count(*) from rowhooks.job_hook as h where h.job_id = j.id) as hooks,
  (select count(*) from rowhooks.job_button as b where b.job_id = j.id) as buttons
from rowhooks.job as j;

-- name: list
select j.* from ({jobs}) as j
where not j.hidden or $1
order by j.class_path;

-- name: by_class_path
select j.* from ({jobs}) as j
where j.class_path = $1;

-- name: by_name
select j.* from ({jobs}) as j
where j.name = $1 or substring(j.class_path from '[^.]*$') = $1;

-- name: count_unfinished
select count(*) as runs
from rowhooks.visible_results as r
where {unfinished};

-- name: enable
select rowhooks.enable_job($1) as done;

-- name: disable
select rowhooks.disable_job($1) as done;

-- name: remove
select rowhooks.remove_job($1) as revoked;

-- name: move
select rowhooks.move_job($1, $2) as done;

-- noqa: disable=PRS
-- name: unfinished
r.status in ('PENDING', 'STARTED', 'RETRY') and (
  r.job_hook_id in (select h.id from rowhooks.job_hook as h where h.job_id = $1)
  or r.job_button_id in (select b.id from rowhooks.job_button as b where b.job_id = $1)
)
