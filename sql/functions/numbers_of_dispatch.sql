-- Purpose: say which workers are connected and what they have in hand, and what is handed out in each queue.
-- Parameters: none
-- Returns: {"workers": [{"name", "queues", "threads", "tasks", "code_version", "since", "silent_for", "is_stopping", "runs"}],
--           "queues": [{"queue", "groups", "unclaimed", "runs"}]}
--          Both are null on a standby server, which does not have unlogged tables
--          silent_for  seconds since the worker was last heard of; it says every second that it is alive
--          runs        of the groups that the worker has taken, or that are handed out, and are not finished
--          unclaimed   the groups that no worker has taken
-- Reads:   rowhooks.worker, rowhooks.dispatch
-- It runs with the owner's rights.
create or replace function rowhooks.numbers_of_dispatch() returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if pg_catalog.pg_is_in_recovery() then
    return pg_catalog.jsonb_build_object('workers', null, 'queues', null);
  end if;
  return (
    with handed_out as (
      select
        d.queue,
        d.worker,
        (
          select pg_catalog.sum(pg_catalog.jsonb_array_length(t.task))
          from pg_catalog.jsonb_array_elements(d.runs) as t (task)
        ) as runs
      from rowhooks.dispatch as d
      where d.done_at is null
    )

    select pg_catalog.jsonb_build_object(
      'workers', coalesce(
        (
          select pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object(
              'name', w.name, 'queues', w.queues, 'threads', w.threads, 'tasks', w.tasks, 'code_version', w.code_version,
              'since', w.started_at,
              'silent_for', pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp() - w.seen_at)::numeric, 1),
              'is_stopping', w.is_stopping,
              'runs', (select coalesce(pg_catalog.sum(h.runs), 0) from handed_out as h where h.worker = w.id)
            )
            order by w.name, w.started_at, w.id
          )
          from rowhooks.worker as w
          -- The start of another role's session is shown to members of pg_read_all_stats.
          where w.backend_pid is null or exists (
            select from pg_catalog.pg_stat_activity as a
            where a.pid = w.backend_pid and (a.backend_start is null or a.backend_start = w.backend_start)
          )
        ),
        '[]'
      ),
      'queues', coalesce(
        (
          select pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object(
              'queue', q.queue, 'groups', q.groups, 'unclaimed', q.unclaimed, 'runs', q.runs
            )
            order by q.queue
          )
          from (
            select
              h.queue,
              pg_catalog.count(*) as groups,
              pg_catalog.count(*) filter (where h.worker is null) as unclaimed,
              pg_catalog.sum(h.runs) as runs
            from handed_out as h
            group by h.queue
          ) as q
        ),
        '[]'
      )
    )
  );
end
$$;
