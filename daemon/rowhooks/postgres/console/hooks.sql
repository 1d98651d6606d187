-- What the pages of hooks ask.

-- name: list
-- A page of hooks by name, behind the name $1; $2 of them at most.
select h.*
from ({hooks_and_jobs}) as h
where $1::text is null or h.name > $1
order by h.name
limit $2;

-- name: find
select h.* from ({hooks_and_jobs}) as h
where h.name = $1;

-- name: hooks_and_jobs
-- Hooks with what decides whether they start anything, and the changes that were not kept for them.
select h.*, j.name as job_name, j.installed, j.description as job_description, m.changes as missed, m.first_at, m.last_at
from ({hooks}) as h
join rowhooks.job as j on j.class_path = h.job
left join rowhooks.job_hook_missed as m on m.job_hook_id = h.id;
