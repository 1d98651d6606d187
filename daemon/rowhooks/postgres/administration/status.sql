-- name: status
with waiting as (
  select w.time from ({waiting}) as w
)

select
  current_database() as database,
  (select v.version_num from rowhooks.alembic_version as v) as schema_revision,
  (select i.notify from rowhooks.installation as i) as notify,
  pg_notification_queue_usage() as notification_queue_usage,
  {leads} as running,
  array(
    select substr(a.application_name, length('rowhooks standby ') + 1)
    from pg_stat_activity as a
    where a.datname = current_database() and a.application_name like 'rowhooks standby %'
    order by a.backend_start, a.pid
  ) as standbys,
  array(
    select json_build_object('standby', s.standby, 'lacks', s.lacks, 'has', s.has)
    from ({other_receivers}) as s
    where s.lacks <> '{}' or s.has <> '{}'
    order by s.standby
  ) as standbys_with_other_receivers,
  array(
    select json_build_object(
      'job', m.class_path, 'hooks', m.hooks, 'buttons', m.buttons, 'waiting', m.waiting, 'missed', m.missed
    )
    from ({missing_jobs}) as m
    order by m.class_path
  ) as missing_jobs,
  f.waiting_limit,
  array(
    select format('%s (%s)', h.holder, h.ending) from ({holders}) as h
    where not h.is_ours and not h.is_gone
  ) as lock_held_by,
  f.leader,
  f.leader_since,
  f.moved_at,
  (select count(*) from waiting) as backlog,
  (select extract(epoch from clock_timestamp() - min(w.time))::float8 from waiting as w) as lag_seconds,
  (select count(*) from rowhooks.job_result as r where r.status in ('PENDING', 'STARTED', 'RETRY')) as unfinished_runs,
  (select count(*) from rowhooks.job_result as r where r.status = 'PENDING' and r.leader_epoch is null) as requested,
  (select count(*) from rowhooks.tracked_table as t where t.untracked_at is null) as tables,
  (select count(*) from rowhooks.job as j where j.enabled and j.installed) as enabled_jobs,
  (select count(*) from rowhooks.job_hook as h where h.enabled) as enabled_hooks,
  (
    select coalesce(json_object_agg(s.status, s.runs), '{}')
    from (
      select l.status, count(*) as runs
      from (
        select r.status from rowhooks.job_result as r order by r.created_at desc, r.id desc limit 1000
      ) as l
      group by l.status
    ) as s
  ) as last_1000_runs,
  (
    select coalesce(json_agg(u.change order by u.place), '[]')
    from jsonb_array_elements(f.unreadable) with ordinality as u (change, place)
    -- As long as it is in the log.
    where exists (select from rowhooks.object_change as c where c.id = (u.change ->> 'id')::bigint)
  ) as unreadable_changes
from rowhooks.feed as f;

-- name: status_for_viewers
-- The same for a role that may not read the log and the results as a whole; the numbers count $1 at the most. What stands here
-- as null is not for its eyes.
with n as materialized (
  select rowhooks.numbers_of_status($1) as numbers
)

select
  current_database() as database,
  (select v.version_num from rowhooks.alembic_version as v) as schema_revision,
  (select i.notify from rowhooks.installation as i) as notify,
  pg_notification_queue_usage() as notification_queue_usage,
  (n.numbers -> 'is_led')::boolean as running,
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
  array(
    select json_build_object(
      'job', m.class_path, 'hooks', m.hooks, 'buttons', m.buttons, 'waiting', m.waiting, 'missed', m.missed
    )
    from (
      select
        j.class_path,
        array(select h.name from rowhooks.job_hook as h where h.job_id = j.id and h.enabled and j.enabled order by 1) as hooks,
        array(select b.name from rowhooks.job_button as b where b.job_id = j.id and b.enabled and j.enabled order by 1)
          as buttons,
        (
          select coalesce(sum((w.one -> 'runs')::bigint), 0)::bigint
          from jsonb_array_elements(n.numbers -> 'waiting') as w (one)
          where w.one ->> 'job' = j.class_path
        ) as waiting,
        (
          select coalesce(sum(m.changes), 0)::bigint
          from rowhooks.job_hook_missed as m
          join rowhooks.job_hook as h on h.id = m.job_hook_id
          where h.job_id = j.id
        ) as missed
      from rowhooks.job as j
      where not j.installed
    ) as m
    where m.hooks <> '{}' or m.buttons <> '{}' or m.waiting > 0
    order by m.class_path
  ) as missing_jobs,
  f.waiting_limit,
  null as lock_held_by,
  f.leader,
  f.leader_since,
  f.moved_at,
  (n.numbers -> 'backlog')::bigint as backlog,
  extract(epoch from clock_timestamp() - (n.numbers ->> 'oldest')::timestamptz)::float8 as lag_seconds,
  (
    select coalesce(sum((w.one -> 'runs')::bigint), 0)::bigint
    from jsonb_array_elements(n.numbers -> 'waiting') as w (one)
  ) as unfinished_runs,
  (n.numbers -> 'requested')::bigint as requested,
  (select count(*) from rowhooks.tracked_table as t where t.untracked_at is null) as tables,
  (select count(*) from rowhooks.job as j where j.enabled and j.installed) as enabled_jobs,
  (select count(*) from rowhooks.job_hook as h where h.enabled) as enabled_hooks,
  (
    select coalesce(json_object_agg(s.status, s.runs), '{}')
    from (
      select l.status, count(*) as runs
      from (
        select r.status from rowhooks.visible_results as r order by r.created_at desc, r.id desc limit 1000
      ) as l
      group by l.status
    ) as s
  ) as last_1000_runs,
  null as unreadable_changes
from rowhooks.feed as f
cross join n;
