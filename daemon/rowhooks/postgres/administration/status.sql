-- The state of rowhooks: for a role that reads the log and the results as a whole, and for one that does not.

-- name: status
with waiting as (
  select w.time from ({waiting}) as w
)

select
  {of_all},
  case when not pg_is_in_recovery() then {leads} end as running,
  array(
    select {missing_job} from ({missing_jobs}) as m
    order by m.class_path
  ) as missing_jobs,
  array(
    select format('%s (%s)', h.holder, h.ending) from ({holders}) as h
    where not h.is_ours and not h.is_gone
  ) as lock_held_by,
  (select count(*) from waiting) as backlog,
  (select extract(epoch from clock_timestamp() - min(w.time))::float8 from waiting as w) as lag_seconds,
  (select count(*) from rowhooks.job_result as r where r.status in ('PENDING', 'STARTED', 'RETRY')) as unfinished_runs,
  (select count(*) from rowhooks.job_result as r where r.status = 'PENDING' and r.leader_epoch is null) as requested,
  (
    select coalesce(json_agg(u.change order by u.place), '[]')
    from jsonb_array_elements(f.unreadable) with ordinality as u (change, place)
    -- As long as it is in the log.
    where exists (select from rowhooks.object_change as c where c.id = (u.change ->> 'id')::bigint)
  ) as unreadable_changes
from rowhooks.feed as f
cross join rowhooks.numbers_of_dispatch() as d (numbers);

-- name: status_for_viewers
-- The numbers count $1 at the most. What stands here as null is not for the role's eyes.
with n as materialized (
  select rowhooks.numbers_of_status($1) as numbers
)

select
  {of_all},
  (n.numbers ->> 'is_led')::boolean as running,
  array(
    select {missing_job}
    from (
      select
        j.class_path,
        o.*,
        (
          select coalesce(sum((w.one -> 'runs')::bigint), 0)::bigint
          from jsonb_array_elements(n.numbers -> 'waiting') as w (one)
          where w.one ->> 'job' = j.class_path
        ) as waiting
      from rowhooks.job as j
      cross join lateral ({origins_of_job}) as o
      where not j.installed
    ) as m
    where m.hooks <> '{}' or m.buttons <> '{}' or m.waiting > 0
    order by m.class_path
  ) as missing_jobs,
  null as lock_held_by,
  (n.numbers -> 'backlog')::bigint as backlog,
  extract(epoch from clock_timestamp() - (n.numbers ->> 'oldest')::timestamptz)::float8 as lag_seconds,
  (
    select coalesce(sum((w.one -> 'runs')::bigint), 0)::bigint
    from jsonb_array_elements(n.numbers -> 'waiting') as w (one)
  ) as unfinished_runs,
  (n.numbers -> 'requested')::bigint as requested,
  null as unreadable_changes
from rowhooks.feed as f
cross join n
cross join rowhooks.numbers_of_dispatch() as d (numbers);

-- noqa: disable=PRS

-- name: of_all
-- What every role may know that may ask; `f` is rowhooks.feed, `d` what rowhooks.numbers_of_dispatch() says, and {results} what the role may see of the results.
current_database() as database,
(select v.version_num from rowhooks.alembic_version as v) as schema_revision,
(select i.notify from rowhooks.installation as i) as notify,
pg_notification_queue_usage() as notification_queue_usage,
-- By name: when the session of another role began, a role without pg_read_all_stats is not told.
array(
  select substr(a.application_name, length('rowhooks standby ') + 1)
  from pg_stat_activity as a
  where a.datname = current_database() and a.application_name like 'rowhooks standby %'
  order by 1
) as standbys,
array(
  select json_build_object('standby', s.standby, 'lacks', s.lacks, 'has', s.has)
  from ({other_receivers}) as s
  where s.lacks <> '{}' or s.has <> '{}'
  order by s.standby
) as standbys_with_other_receivers,
f.waiting_limit,
f.leader,
f.leader_since,
f.moved_at,
(select count(*) from rowhooks.tracked_table as t where t.untracked_at is null) as tables,
(select count(*) from rowhooks.job as j where j.enabled and j.installed) as enabled_jobs,
(select count(*) from rowhooks.job_hook as h where h.enabled) as enabled_hooks,
(
  select coalesce(json_object_agg(s.status, s.runs), '{}')
  from (
    select l.status, count(*) as runs
    from (select r.status from {results} as r order by r.created_at desc, r.id desc limit 1000) as l
    group by l.status
  ) as s
) as last_1000_runs,
d.numbers -> 'workers' as workers,
d.numbers -> 'queues' as queues;

-- name: missing_job
-- A missing job, `m`.
json_build_object(
  'job', m.class_path, 'hooks', m.hooks, 'buttons', m.buttons, 'waiting', m.waiting, 'missed', m.missed
);
