-- Jobs that the leader does not have: what waits for them, and which standbys have other receivers.

-- name: kept_by_job
-- How many runs wait so, by the ids of their jobs; null where the hook or button is gone.
select coalesce(h.job_id, b.job_id) as job_id, count(*) as runs
from rowhooks.job_result as r
left join rowhooks.job_hook as h on h.id = r.job_hook_id
left join rowhooks.job_button as b on b.id = r.job_button_id
where {is_kept}
group by 1;

-- name: missing_jobs
-- The jobs that the leader does not have and for which something waits or will wait.
select j.id, j.class_path, o.hooks, o.buttons, coalesce(k.runs, 0) as waiting, o.missed
from rowhooks.job as j
cross join lateral ({origins_of_job}) as o
left join ({kept_by_job}) as k on k.job_id = j.id
where not j.installed and (o.hooks <> '{}' or o.buttons <> '{}' or k.runs > 0);

-- name: origins_of_job
-- The enabled hooks and buttons of a job, `j`, and how many changes its hooks have missed.
select
  array(select h.name from rowhooks.job_hook as h where h.job_id = j.id and h.enabled and j.enabled order by 1)
    as hooks,
  array(select b.name from rowhooks.job_button as b where b.job_id = j.id and b.enabled and j.enabled order by 1)
    as buttons,
  (
    select coalesce(sum(m.changes), 0)::bigint
    from rowhooks.job_hook_missed as m
    join rowhooks.job_hook as h on h.id = m.job_hook_id
    where h.job_id = j.id
  ) as missed;

-- name: other_receivers
-- The standbys, each with what it lacks of the leader's receivers and what it has that the leader does not have.
select
  substr(a.application_name, length('rowhooks standby ') + 1) as standby,
  array(
    select j.class_path from rowhooks.job as j where j.installed and j.class_path <> all(d.receivers) order by 1
  ) as lacks,
  array(
    select x.receiver from unnest(d.receivers) as x (receiver)
    where not exists (select from rowhooks.job as j where j.installed and j.class_path = x.receiver) order by 1
  ) as has
from rowhooks.daemon as d
join pg_stat_activity as a
  on a.pid = d.backend_pid and a.datname = current_database() and a.application_name like 'rowhooks standby %';

-- noqa: disable=PRS

-- name: is_kept
-- Whether a run, `r`, waits for a leader whose code has its class.
(r.status in ('PENDING', 'STARTED', 'RETRY') and r.leader_epoch = '{WAITING}');
