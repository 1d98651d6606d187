-- What people see who look on and may not read the log and the results as a whole: numbers, of all tables, and nothing of a row.

-- Purpose: say how rowhooks is doing: whether a daemon leads, what waits, and how large the log is.
-- Parameters: most  how many changes, and how many runs, are counted at the most
-- Returns: {"is_led", "backlog", "oldest", "requested", "log_bytes", "partitions",
--           "waiting": [{"job", "status", "runs", "oldest"}]}
--          is_led    whether a daemon leads; null on a standby, which does not know the locks of its primary
--          backlog   the changes that have not been dealt with; oldest is the time of the first of them
--          requested  runs that were requested by hand and wait for a leader
--          waiting   the runs that have not ended
-- Reads:   rowhooks.feed, rowhooks.object_change, rowhooks.job_result
-- It runs with the owner's rights.
create or replace function rowhooks.numbers_of_status(most integer) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.jsonb_build_object(
    'is_led',
    case when not pg_catalog.pg_is_in_recovery() then exists (
      select from pg_catalog.pg_locks as l
      join pg_catalog.pg_stat_activity as a on a.pid = l.pid
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
        and (l.classid::bigint << 32) | l.objid::bigint = f.leader_key
        and pg_catalog.pg_has_role(a.usesysid, i.daemon_role, 'member')
    ) end,
    'backlog', w.changes,
    'oldest', w.oldest,
    'requested', (
      select pg_catalog.count(*)
      from (
        select from rowhooks.job_result as r where r.status = 'PENDING' and r.leader_epoch is null limit most
      ) as r
    ),
    'log_bytes', p.bytes,
    'partitions', p.partitions,
    'waiting', coalesce(
      (
        select pg_catalog.jsonb_agg(
          pg_catalog.jsonb_build_object('job', u.class_path, 'status', u.status, 'runs', u.runs, 'oldest', u.oldest)
          order by u.class_path, u.status
        )
        from (
          select r.class_path, r.status, pg_catalog.count(*) as runs, pg_catalog.min(r.created_at) as oldest
          from (
            select r.class_path, r.status, r.created_at
            from rowhooks.job_result as r
            where r.status in ('PENDING', 'STARTED', 'RETRY')
            order by r.id
            limit most
          ) as r
          group by r.class_path, r.status
        ) as u
      ),
      '[]'
    )
  )
  from rowhooks.feed as f
  cross join rowhooks.installation as i
  -- By the index on transaction_id, as the daemon counts. Its order makes the planner take it: it would expect so many changes
  -- that it found some soonest by reading the log from its beginning.
  cross join lateral (
    select pg_catalog.count(*) as changes, pg_catalog.min(c.time) as oldest
    from (
      select b.time
      from (
        select c.time
        from rowhooks.object_change as c
        where c.transaction_id >= pg_catalog.pg_snapshot_xmax(f.snapshot)
          and (f.target is null or c.id > f.after_id or not pg_catalog.pg_visible_in_snapshot(c.transaction_id, f.target))
        order by c.transaction_id, c.id
        limit most
      ) as b
      union all
      select b.time
      from pg_catalog.pg_snapshot_xip(f.snapshot) as x (xid)
      cross join lateral (
        select c.time
        from rowhooks.object_change as c
        where c.transaction_id = x.xid
          and (f.target is null or c.id > f.after_id or not pg_catalog.pg_visible_in_snapshot(c.transaction_id, f.target))
        order by c.id
        limit most
      ) as b
      limit most
    ) as c
  ) as w
  cross join (
    select
      pg_catalog.count(*) as partitions,
      coalesce(pg_catalog.sum(pg_catalog.pg_total_relation_size(i.inhrelid)), 0)::bigint as bytes
    from pg_catalog.pg_inherits as i
    where i.inhparent = 'rowhooks.object_change'::pg_catalog.regclass
  ) as p
$$;

-- Purpose: count changes and runs by the time when they came.
-- Parameters: since  from this time on
--             step   how long the parts of the time are
--             most   how many changes, and how many runs, are counted at the most: the newest
-- Returns: begun   when a part began
--          what    change, or the present status of the runs that came in it
--          number  how many
--          oldest  the time of the oldest that was counted
-- Reads:   rowhooks.object_change, rowhooks.job_result
-- It runs with the owner's rights.
create or replace function rowhooks.activity(since timestamptz, step interval, most integer)
returns table (begun timestamptz, what text, number bigint, oldest timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select
    pg_catalog.date_bin(step, e.time, '2000-01-01 00:00:00+00'::timestamptz) as begun,
    e.what,
    pg_catalog.count(*) as number,
    pg_catalog.min(e.time) as oldest
  from (
    (
      select r.created_at as time, r.status as what
      from rowhooks.job_result as r
      where r.created_at >= since
      order by r.created_at desc, r.id desc
      limit most
    )
    union all
    (
      select c.time, 'change'
      from rowhooks.object_change as c
      where c.id >= rowhooks.first_change_since(since)
      order by c.id desc
      limit most
    )
  ) as e
  where e.time >= since
  group by 1, e.what
$$;

-- Purpose: count runs by their origin, job and status.
-- Parameters: since         those that came from this time on
--             most          how many are counted at the most: the newest
--             only_trigger  change, press or replay; null: any
-- Returns: job_hook_id, job_button_id, class_path, status
--          runs    how many
--          oldest  when the oldest of them came
-- Reads:   rowhooks.job_result
-- It runs with the owner's rights.
create or replace function rowhooks.run_counts(since timestamptz, most integer, only_trigger text default null)
returns table (job_hook_id integer, job_button_id integer, class_path text, status text, runs bigint, oldest timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select r.job_hook_id, r.job_button_id, r.class_path, r.status, pg_catalog.count(*), pg_catalog.min(r.created_at)
  from (
    select n.job_hook_id, n.job_button_id, n.class_path, n.status, n.created_at
    from rowhooks.job_result as n
    where n.created_at >= run_counts.since
      and (run_counts.only_trigger is null or n.trigger = run_counts.only_trigger)
    order by n.created_at desc, n.id desc
    limit most
  ) as r
  group by r.job_hook_id, r.job_button_id, r.class_path, r.status
$$;

-- Purpose: count the runs of a hook or button that have not ended.
-- Parameters: hook_id    rowhooks.job_hook.id; null: of a button
--             button_id  rowhooks.job_button.id
--             most       how many are counted at the most
-- Returns: how many
-- Reads:   rowhooks.job_result
-- It runs with the owner's rights.
create or replace function rowhooks.unfinished_runs(hook_id integer, button_id integer, most integer) returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.count(*)
  from (
    select from rowhooks.job_result as r
    where r.status in ('PENDING', 'STARTED', 'RETRY') and (r.job_hook_id = hook_id or r.job_button_id = button_id)
    limit most
  ) as u
$$;

-- Purpose: say for which changes runs of a hook have been requested by a replay, so that they are not requested twice.
-- Parameters: hook_id     rowhooks.job_hook.id
--             change_ids  rowhooks.object_change.id
--             since       runs that were requested from this time on
-- Returns: the ids of those changes
-- Reads:   rowhooks.job_result
-- It runs with the owner's rights.
create or replace function rowhooks.replayed_changes(hook_id integer, change_ids bigint[], since timestamptz)
returns setof bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select distinct r.object_change_id
  from rowhooks.job_result as r
  where r.trigger = 'replay' and r.object_change_id = any (change_ids) and r.job_hook_id = hook_id and r.created_at >= since
$$;
