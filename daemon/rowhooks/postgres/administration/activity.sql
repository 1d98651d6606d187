-- What runs have done of late, and what stands still. Each query returns sentences: what is wrong, then the way out in one or
-- more columns, as in doctor.sql.

-- name: failures
-- The failures of the last hour that were not retried since, by job, with the commonest error. By the index of the runs that
-- have ended badly: a run that took a day to fail is not looked for.
with failed as (
  select
    r.id,
    r.class_path,
    r.created_at,
    r.exception_type as type,
    left(split_part(coalesce(r.exception_message, ''), E'\n', 1), 200) as line
  from rowhooks.job_result as r
  where r.status = 'FAILURE' and r.created_at > clock_timestamp() - interval '1 day'
    and r.finished_at > clock_timestamp() - interval '1 hour'
    and not exists (
      select from rowhooks.job_result as n where n.original_id = coalesce(r.original_id, r.id) and n.id > r.id
    )
), common as (
  select distinct on (k.class_path) k.*
  from (
    select f.class_path, f.type, f.line, count(*) as runs, max(f.id) as id
    from failed as f
    group by f.class_path, f.type, f.line
  ) as k
  order by k.class_path asc, k.runs desc, k.id desc
), job as (
  select f.class_path, count(*) as runs, min(f.created_at) as since
  from failed as f
  group by f.class_path
)
select
  format(
    'job %s: %s of the last hour %s failed, %s%s%s', j.class_path,
    case when j.runs = 1 then '1 run' else j.runs || ' runs' end, case when j.runs = 1 then 'has' else 'have' end,
    case when j.runs > c.runs then format('%s of them ', c.runs) else '' end,
    'with ' || c.type, coalesce(': ' || nullif(c.line, ''), '')
  ),
  'see why, and mend that: ',
  array['rowhooks', 'results', 'show', c.id::text],
  '; then: ',
  array[
    'rowhooks', 'results', 'retry', '--failed', '--since',
    case
      when j.since > clock_timestamp() - interval '1 hour' then '1h'
      else to_char(j.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
    end,
    concat('--job=', j.class_path)
  ]
from job as j
join common as c on c.class_path = j.class_path
order by j.runs desc, j.class_path asc;

-- name: no_daemon
select
  format('no daemon runs, and nothing starts: %s', concat_ws(
    ' and ',
    case when o.hooks > 0 then format('%s %s', o.hooks, case when o.hooks = 1 then 'hook' else 'hooks' end) end,
    case when o.buttons > 0 then format('%s %s', o.buttons, case when o.buttons = 1 then 'button' else 'buttons' end) end
  ) || case when o.hooks + o.buttons = 1 then ' is enabled' else ' are enabled' end),
  array['rowhooks', 'run']
from (
  select
    (
      select count(*) from rowhooks.job_hook as h join rowhooks.job as j on j.id = h.job_id
      where h.enabled and j.enabled
    ) as hooks,
    (
      select count(*) from rowhooks.job_button as b join rowhooks.job as j on j.id = b.job_id
      where b.enabled and j.enabled
    ) as buttons
) as o
where o.hooks + o.buttons > 0 and not {leads};

-- name: long_runs
-- Runs of a leader that take long. One of a former leader is another matter.
select
  format(
    'job %s: %s for more than 10 minutes, %s since %s', r.class_path,
    case when r.runs = 1 then '1 run is running' else r.runs || ' runs are running' end,
    case when r.runs = 1 then 'that' else 'the first' end, date_trunc('second', r.oldest)
  ),
  'see what it waits for: ',
  array['rowhooks', 'results', 'show', r.ids[1]::text],
  '; to end it (and give the job a time_limit): ',
  array['rowhooks', 'results', 'revoke'] || r.ids[:20]::text[]
from (
  select r.class_path, count(*) as runs, min(r.started_at) as oldest, array_agg(r.id order by r.started_at, r.id) as ids
  from rowhooks.job_result as r
  where r.status = 'STARTED' and r.started_at < clock_timestamp() - interval '10 minutes'
  group by r.class_path
) as r
where {leads}
order by 1;

-- name: endless_runs
-- A receiver that writes on a connection of its own starts its own hook. Among the newest runs.
select distinct on (r.hook_name)
  format(
    'hook %s has run %s times within the last hour for one row, %s of %s, after changes by the daemon''s own login, %I:'
    ' does its receiver write on a connection of its own, and start itself again?',
    r.hook_name, r.runs, coalesce(r.object_repr, r.object_id::text), rowhooks.qualified_name(t.schema_name, t.table_name),
    r.db_user
  ),
  'write through self.session; until then: ',
  array['rowhooks', 'hooks', 'disable'] || case when r.hook_name like '-%' then array['--', r.hook_name] else array[r.hook_name] end
from (
  select l.hook_name, l.tracked_table, l.object_id, l.db_user, count(*) as runs, max(l.object_repr) as object_repr
  from (
    select r.* from rowhooks.job_result as r order by r.created_at desc, r.id desc limit 1000
  ) as l
  join rowhooks.feed as f on f.rows_login = l.db_user
  join rowhooks.job_hook as h on h.id = l.job_hook_id and h.enabled
  join rowhooks.object_change as c on c.id = l.object_change_id
  where l.trigger = 'change' and l.created_at > clock_timestamp() - interval '1 hour'
    and c.change_context is distinct from 'job-button'
  group by l.hook_name, l.tracked_table, l.object_id, l.db_user
  having count(*) >= {MOST_RUNS_OF_A_ROW}
) as r
join rowhooks.tracked_table as t on t.id = r.tracked_table
order by r.hook_name asc, r.runs desc;

-- name: idle
-- Hooks, buttons and jobs that nothing is wrong with, and that start nothing or cannot be started.
-- A name that begins with a hyphen is no option.
select i.what, i.text, i.command || case when i.name like '-%' then array['--', i.name] else array[i.name] end
from (
  select
    1 as place, h.name, format('hook %s is disabled: it starts nothing', h.name) as what, null as text,
    array['rowhooks', 'hooks', 'enable'] as command
  from rowhooks.job_hook as h
  where not h.enabled
  union all
  select
    2, b.name, format('button %s is disabled: nobody can press it', b.name), null,
    array['rowhooks', 'buttons', 'enable']
  from rowhooks.job_button as b
  where not b.enabled
  union all
  select
    3, b.name,
    format('button %s may be pressed by superusers and the daemon''s role alone: no role that it names exists', b.name),
    'name a role (--role ROLE); for all who may read the row: ',
    array['rowhooks', 'buttons', 'edit', '--role', 'public']
  from rowhooks.job_button as b
  where b.enabled and 'public' <> all(b.roles)
    and not exists (select from pg_roles as r where r.rolname::text = any(b.roles))
  union all
  select
    4, j.class_path,
    format('job %s is enabled, and no %s starts it', j.class_path, j.kind),
    format('add a %s (see docs/%s.md), or: ', j.kind, case j.kind when 'hook' then 'hooks' else 'button-receivers' end),
    array['rowhooks', 'jobs', 'disable']
  from rowhooks.job as j
  where j.enabled and j.installed
    and not exists (select from rowhooks.job_hook as h where h.job_id = j.id)
    and not exists (select from rowhooks.job_button as b where b.job_id = j.id)
) as i
order by i.place, i.name;

-- name: replica_sessions
-- Sessions that begin as a replica's fire no ordinary trigger.
select
  format(
    'sessions of %s begin with session_replication_role = replica: what they write is not recorded, but for tables tracked'
    ' with --always',
    case when r.oid is null then 'every login' else quote_ident(r.rolname) end
    || case when s.setdatabase <> 0 then ' in this database' else '' end
  ),
  array['psql', '-c', concat(
    case when r.oid is null then format('alter database %I', current_database()) else format('alter role %I', r.rolname) end,
    case when r.oid is not null and s.setdatabase <> 0 then format(' in database %I', current_database()) end,
    ' reset session_replication_role'
  )]
from pg_db_role_setting as s
left join pg_roles as r on r.oid = s.setrole
where s.setdatabase in (0, (select d.oid from pg_database as d where d.datname = current_database()))
  and (r.oid is not null or s.setdatabase <> 0)
  and 'session_replication_role=replica' = any(s.setconfig)
  and exists (select from rowhooks.tracked_table as t where t.untracked_at is null and not t.always)
order by 1;

-- name: full_connections
-- Who may connect no more, or soon.
select x.what, x.text, x.command
from (
  select
    1 as place,
    format('login %I has %s of the %s connections that it may have: a daemon with this login waits for one',
      l.rolname, n.sessions, l.rolconnlimit) as what,
    null as text,
    array['psql', '-c', format('alter role %I connection limit -1', l.rolname)] as command
  from rowhooks.installation as i
  join pg_roles as l on l.rolcanlogin and not l.rolsuper and l.rolconnlimit >= 0
  cross join lateral (
    select count(*) as sessions from pg_stat_activity as a where a.usesysid = l.oid
  ) as n
  where exists (
    select from pg_roles as g where g.rolname in (i.daemon_role, i.receiver_role) and pg_has_role(l.oid, g.oid, 'member')
  ) and n.sessions >= l.rolconnlimit
  union all
  select
    2,
    format('database %I has %s of the %s connections that it may have', d.datname, n.sessions, d.datconnlimit),
    null,
    array['psql', '-c', format('alter database %I connection limit -1', d.datname)]
  from pg_database as d
  cross join lateral (
    select count(*) as sessions from pg_stat_activity as a where a.datid = d.oid and a.usesysid is not null
  ) as n
  where d.datname = current_database() and d.datconnlimit >= 0 and n.sessions >= d.datconnlimit
  union all
  select
    3,
    format('%s of the server''s %s connections are in use', n.sessions, m.most),
    'then restart the server: ',
    array['psql', '-c', format('alter system set max_connections = %s', 2 * current_setting('max_connections')::integer)]
  from (select count(*) as sessions from pg_stat_activity as a where a.usesysid is not null) as n
  cross join (
    select
      current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer as most
  ) as m
  where n.sessions >= m.most * {SHARE_IN_USE}
) as x
order by x.place, x.what;

-- name: old_transactions
-- VACUUM removes nothing that such a transaction may still see, in the log as in every table.
select
  format(
    'login %s (pid %s, application %L) is in a transaction since %s: VACUUM removes nothing younger', a.usename, a.pid,
    left(a.application_name, 64), date_trunc('second', a.xact_start)
  ),
  array['psql', '-c', format('select pg_terminate_backend(%s)', a.pid)]
from pg_stat_activity as a
where a.datname = current_database() and a.pid <> pg_backend_pid()
  and a.xact_start < clock_timestamp() - make_interval(hours => {OLD})
order by a.xact_start;
