-- What the pages of jobs ask.

-- name: list
-- A page of jobs by class path, behind the path $1; $2 of them at most, hidden ones if $3.
select j.*
from ({jobs}) as j
where ($1::text is null or j.class_path > $1) and ($3 or not j.hidden)
order by j.class_path
limit $2;

-- name: find
select
  j.*,
  array(select h.name from rowhooks.job_hook as h where h.job_id = j.id order by h.name) as hook_names,
  array(select b.name from rowhooks.job_button as b where b.job_id = j.id order by b.name) as button_names
from ({jobs}) as j
where j.class_path = $1;

-- name: others
-- Jobs of the kind $1 that the leader has; $2 of them at most.
select j.class_path
from rowhooks.job as j
where j.kind = $1 and j.installed
order by j.class_path
limit $2;
