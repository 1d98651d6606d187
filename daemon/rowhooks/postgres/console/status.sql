-- What the pages of the state of things ask.

-- name: status
-- The state of rowhooks; see rowhooks.numbers_of_status for the numbers, which count $1 at the most.
select
  current_database()::text as database,
  clock_timestamp() as now,
  (select v.version_num from rowhooks.alembic_version as v) as schema_revision,
  i.notify,
  pg_notification_queue_usage() as notification_queue_usage,
  f.leader,
  f.leader_since,
  f.moved_at,
  f.leader_epoch::text as leader_epoch,
  f.waiting_limit,
  -- As long as the server process of each exists.
  coalesce(
    (
      select jsonb_agg(
        jsonb_build_object('name', d.name, 'announced_at', d.announced_at, 'receivers', cardinality(d.receivers))
        order by d.announced_at, d.name
      )
      from rowhooks.daemon as d
      join pg_stat_activity as a on a.pid = d.backend_pid and a.datname = current_database()
      where d.name is distinct from f.leader
    ),
    '[]'
  ) as standbys,
  (select count(*) from rowhooks.tracked_table as t where t.untracked_at is null) as tables,
  (select count(*) from rowhooks.job as j where j.enabled and j.installed) as jobs,
  (select count(*) from rowhooks.job_hook as h where h.enabled) as hooks,
  (select count(*) from rowhooks.job_button as b where b.enabled) as buttons,
  array(
    select j.class_path from rowhooks.job as j
    where not j.installed and j.enabled
    order by j.class_path
    limit 20
  ) as missing_jobs,
  rowhooks.numbers_of_dispatch() as dispatch,
  rowhooks.numbers_of_status($1) as numbers
from rowhooks.feed as f
cross join rowhooks.installation as i;

-- name: activity
-- Changes and runs of the last $1, in parts of $2; $3 of each are counted at the most.
select a.begun, a.what, a.number, a.oldest
from rowhooks.activity(clock_timestamp() - $1::interval, $2::interval, $3::integer) as a
order by a.begun, a.what;

-- name: failures
-- The failures among the newest $1 runs of the last day, by job; with the error that most of the newest $2 have which the asking
-- role may see.
with counted as materialized (
  select c.class_path, c.status, c.runs, c.oldest
  from rowhooks.run_counts(clock_timestamp() - interval '1 day', $1) as c
),

failed as materialized (
  -- The view is sorted; see `older` of runs.sql.
  select v.id, v.class_path, v.exception_type, left(v.exception_message, 300) as message, v.created_at
  from {results} as v
  where v.status = 'FAILURE'
    and v.created_at >= (select min(c.oldest) from counted as c where c.status = 'FAILURE')
  limit $2
),

errors as (
  select
    f.class_path, f.exception_type, f.message, count(*) as runs, max(f.id) as example,
    row_number() over (partition by f.class_path order by count(*) desc, max(f.created_at) desc) as place,
    sum(count(*)) over (partition by f.class_path) as seen,
    count(*) over (partition by f.class_path) as kinds
  from failed as f
  group by f.class_path, f.exception_type, f.message
)

select
  (select coalesce(sum(c.runs), 0) from counted as c) as looked_at,
  (select min(c.oldest) from counted as c) as oldest,
  coalesce(
    (
      select jsonb_agg(
        jsonb_build_object(
          'job', j.class_path, 'failures', j.failures, 'seen', coalesce(e.seen, 0), 'kinds', e.kinds,
          'type', e.exception_type, 'message', e.message, 'runs', e.runs, 'example', e.example
        )
        order by j.failures desc, j.class_path asc
      )
      from (
        select c.class_path, sum(c.runs) as failures
        from counted as c
        where c.status = 'FAILURE'
        group by c.class_path
      ) as j
      left join errors as e on e.class_path = j.class_path and e.place = 1
    ),
    '[]'
  ) as jobs;

-- name: tables_with_buttons
-- The tables whose buttons the asking role sees, with how many it may press; $1 of them at most.
select b.object_type, count(*) as buttons, count(*) filter (where b.may_press and b.job_enabled) as to_press
from rowhooks.buttons as b
where b.enabled
group by b.object_type
order by b.object_type
limit $1;
