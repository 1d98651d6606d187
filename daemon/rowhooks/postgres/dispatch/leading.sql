-- Groups of runs as the leader sees them.

-- name: take_back_all
-- Takes back what former leaders have handed out. It waits for what is being recorded of it.
delete from rowhooks.dispatch as d where d.leader_epoch <> $1;

-- name: hand_out
-- Hands groups out, a list of JSON objects, and wakes the workers; returns the leader epoch, no row where another leads. A
-- new leader's take-over waits for this, and takes the groups back: nothing is handed out once it has read what is unfinished.
with leads as (
  select f.leader_epoch from rowhooks.feed as f where f.leader_epoch = $1 for share
),

handed as (
  insert into rowhooks.dispatch (id, leader_epoch, queue, asynchronous, priority, receivers, lanes, runs)
  select
    g.id,
    l.leader_epoch,
    g.queue,
    g.asynchronous,
    g.priority,
    array(select * from jsonb_array_elements_text(g.receivers)) as receivers,
    g.lanes,
    g.runs
  from leads as l
  cross join jsonb_to_recordset($2::text::jsonb) as g (
    id uuid, queue text, asynchronous boolean, priority integer, receivers jsonb, lanes integer, runs jsonb
  )
)

select
  l.leader_epoch,
  pg_notify('{HANDED_OUT}', '') as notified
from leads as l;

-- name: progress
-- How far groups have come.
select
  d.id,
  d.worker,
  coalesce(extract(epoch from clock_timestamp() - d.claimed_at), 0)::double precision as seconds,
  d.done_at is not null as is_done,
  d.refused::text as refused
from rowhooks.dispatch as d
where d.id = any($1::uuid[]);

-- name: workers
-- The workers that take groups.
select
  w.id,
  w.name,
  w.queues,
  w.threads,
  w.tasks,
  w.receivers,
  w.code_version,
  w.is_stopping
from rowhooks.worker as w
where {is_alive}
order by w.started_at, w.id;

-- name: lost
-- The workers that have been silent for $1 or whose connection has ended; whether that is seen for the first time, and
-- whether the same process has entered again. Its number is the first half of the id.
select
  w.id,
  w.name,
  coalesce(w.backend_pid, -1) <> 0 as is_new,
  w.seen_at <= clock_timestamp() - $1::interval as is_silent,
  (
    select count(*) > 0 from rowhooks.worker as l
    where left(l.id::text, 18) = left(w.id::text, 18) and l.started_at > w.started_at
  ) as has_returned
from rowhooks.worker as w
where not ({is_alive});

-- name: note_end
-- Notes that the connection of a worker has ended: no server process has the id 0.
update rowhooks.worker as w set backend_pid = 0 where w.id = $1;

-- name: end_backends
-- Ends the sessions of a worker that can be told by its name $1, as far as this login may: they may hold locks, also on
-- users' rows.
select pg_terminate_backend(a.pid)
from pg_stat_activity as a
where a.datname = current_database() and a.application_name = $1
  and a.pid <> pg_backend_pid() and pg_has_role(a.usesysid, 'member')
  and (not (select r.rolsuper from pg_roles as r where r.oid = a.usesysid) or (select r.rolsuper from pg_roles as r where r.rolname = current_user));

-- name: forget_worker
-- Takes a worker out that has ended.
delete from rowhooks.worker as w where w.id = $1;

-- name: take_back
-- Takes groups back: nothing of their runs can be recorded under them any more. What is locked, as by what is being
-- recorded, is left; returns that.
with free as (
  select d.id from rowhooks.dispatch as d where d.id = any($1::uuid[]) for update skip locked
),

gone as (
  delete from rowhooks.dispatch as d using free as f where d.id = f.id
  returning d.id
)

select d.id
from rowhooks.dispatch as d
where d.id = any($1::uuid[]) and not exists (select from gone as g where g.id = d.id);

-- name: take_back_unclaimed
-- Takes those of these groups back that no worker has taken or is taking; returns them.
with unclaimed as (
  select d.id from rowhooks.dispatch as d where d.id = any($1::uuid[]) and d.worker is null for update skip locked
)

delete from rowhooks.dispatch as d using unclaimed as u where d.id = u.id
returning d.id;

-- name: on_record
-- What stands on record of these runs.
select
  r.id,
  r.status,
  {what_came_of_it}
from rowhooks.job_result as r
where r.id = any($1::bigint[]) and r.leader_epoch = $2;

-- name: on_record_as_others
-- What stands on record of the runs $1, of the changes $2 and the hooks $3, under other ids. A receiver that a former leader
-- executed may commit when this one has read already what is on record; nothing of the change is recorded any more then.
select
  o.id,
  {what_came_of_it}
from unnest($1::bigint[], $2::bigint[], $3::integer[]) as o (id, object_change_id, job_hook_id)
join rowhooks.job_result as r on r.object_change_id = o.object_change_id and r.job_hook_id = o.job_hook_id
where r.trigger = 'change' and r.original_id is null and r.id <> o.id;

-- noqa: disable=PRS

-- name: is_alive
-- Whether a worker, `w`, is connected and was heard of within $1.
w.seen_at > clock_timestamp() - $1::interval
and (w.backend_pid is null or exists (
  select from pg_stat_activity as a
  where a.pid = w.backend_pid and (a.backend_start is null or a.backend_start = w.backend_start)
));

-- name: what_came_of_it
-- What stands on record of a run, `r`, beside its status.
r.started_at, r.finished_at, r.retry_at, r.attempt, r.result::text as result, r.exception_type, r.exception_message, r.traceback;
