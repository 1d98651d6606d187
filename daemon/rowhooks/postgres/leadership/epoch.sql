-- What a new leader finds and writes down, and what a standby shows of itself.

-- name: silent
-- The leader that has been silent for $1, and its connections. The leader makes a round trip now and then; one that was
-- stopped, or whose host was, does not. Its other connections are found by their name: they may hold locks, also on users'
-- rows.
with leader as (
  select a.pid, a.usesysid
  from pg_locks as l
  join pg_stat_activity as a on a.pid = l.pid
  where {is_leader_lock}
    and a.state like 'idle%' and a.state_change < clock_timestamp() - $1::interval
)
select
  f.leader,
  array(
    select a.pid from leader as l
    join pg_stat_activity as a on a.usesysid = l.usesysid and a.pid <> pg_backend_pid()
    where a.pid = l.pid or (a.datname = current_database() and a.application_name = 'rowhooks ' || f.leader)
  ) as backends
from rowhooks.feed as f
where exists (select from leader);

-- name: end_backends
-- Ends sessions.
select pg_terminate_backend(p.pid) from unnest($1::integer[]) as p (pid);

-- name: take_over
-- Makes this daemon the leader, and reads the position.
update rowhooks.feed as f
set
  leader_epoch = $1, leader = $2, leader_since = now(), waiting_limit = $3, queues = $4::text[],
  default_queue = $5, own_queues = $6::text[]
returning
  f.snapshot::text, f.target::text, f.after_id, f.floor_id, f.newest_id,
  f.system_identifier = (pg_control_system()).system_identifier,
  f.database_oid = (select d.oid from pg_database as d where d.datname = current_database()),
  f.history;

-- name: last_recorded
-- The last change with a run on record. It is a statement of its own: taking over waits for what the former leader and its
-- workers are recording, and would not see it.
select max(r.object_change_id) from rowhooks.job_result as r where r.trigger = 'change' and r.original_id is null;

-- name: on_record
-- The runs of some changes that are on record, in any status.
select r.object_change_id, r.job_hook_id from rowhooks.job_result as r
where r.object_change_id = any($1::bigint[]) and r.trigger = 'change' and r.original_id is null;

-- name: announce
-- Writes down the receivers of a daemon that stands by, and removes the rows of daemons that have ended.
with ended as (
  delete from rowhooks.daemon as d
  where d.backend_pid <> $1 and not exists (select from pg_stat_activity as a where a.pid = d.backend_pid)
)
insert into rowhooks.daemon (backend_pid, name, receivers) values ($1, $2, $3::text[])
on conflict (backend_pid) do update set
  name = excluded.name, receivers = excluded.receivers, announced_at = excluded.announced_at;
