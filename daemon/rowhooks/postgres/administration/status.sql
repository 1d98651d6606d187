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
