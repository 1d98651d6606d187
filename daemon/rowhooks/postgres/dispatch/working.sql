-- Groups of runs as a worker sees them.

-- name: enter
-- Makes a worker known.
insert into rowhooks.worker (
  id, name, backend_pid, backend_start, queues, threads, tasks, receivers, code_version, clock_offset
)
select
  $1,
  $2,
  case when $3 then a.pid end,
  case when $3 then a.backend_start end,
  $4::text[],
  $5,
  $6,
  $7::text[],
  $8,
  to_timestamp($9) - clock_timestamp()
from pg_stat_activity as a
where a.pid = pg_backend_pid()
on conflict (id) do update set
  backend_pid = excluded.backend_pid, backend_start = excluded.backend_start, seen_at = clock_timestamp();

-- name: beat
-- Says that a worker is alive; returns the present leader epoch. No row: it counts as lost.
update rowhooks.worker as w
set seen_at = clock_timestamp(), is_stopping = $2
where w.id = $1
returning (select f.leader_epoch from rowhooks.feed as f);

-- name: leave
-- Takes a worker out.
delete from rowhooks.worker as w where w.id = $1;

-- name: claim
-- Takes the next groups that nobody has taken for $7, $6 at the most, of the kinds $5. A worker that counts as lost gets none.
with next as (
  select d.id
  from rowhooks.dispatch as d
  where d.worker is null and d.queue = any($2::text[]) and d.receivers <@ $3::text[] and d.leader_epoch = $4
    and d.asynchronous = any($5::boolean[]) and d.created_at <= clock_timestamp() - $7::interval
    and exists (select from rowhooks.worker as w where w.id = $1)
  order by d.priority desc, d.number asc
  limit $6
  for update skip locked
)
update rowhooks.dispatch as d
set worker = $1, claimed_at = clock_timestamp()
from next as n
where d.id = n.id
returning {claimed};

-- name: claim_called
-- Takes those of the groups $4 that nobody has taken, or is taking. A worker that counts as lost gets none.
with called as (
  select d.id
  from rowhooks.dispatch as d
  where d.id = any($4::uuid[]) and d.worker is null and d.receivers <@ $2::text[] and d.leader_epoch = $3
    and exists (select from rowhooks.worker as w where w.id = $1)
  for update skip locked
)
update rowhooks.dispatch as d
set worker = $1, claimed_at = clock_timestamp()
from called as c
where d.id = c.id
returning {claimed};

-- name: held
-- Those of the groups $2 that the worker still has.
select d.id from rowhooks.dispatch as d where d.id = any($2::uuid[]) and d.worker = $1 and d.done_at is null;

-- name: fence
-- Those of these groups that are there, and stay there until the transaction ends. Not `for share`, which runs that are
-- committed together hold: each would wait for results that the other has written. In the order in which these lock them.
select d.id from rowhooks.dispatch as d where d.id = any($1::uuid[]) order by d.id for no key update;

-- name: finish
-- Says that a worker is finished with groups, and why runs could not be executed, by the groups: a JSON object of objects.
with finished as (
  update rowhooks.dispatch as d
  set done_at = clock_timestamp(), refused = $3::text::jsonb -> d.id::text
  where d.id = any($2::uuid[]) and d.worker = $1
  returning d.id
)
select pg_notify('{DONE}', '') from finished limit 1;

-- noqa: disable=PRS

-- name: claimed
-- What a worker needs of a group, `d`, that it takes.
d.id, d.asynchronous, d.lanes, d.runs::text as runs, rowhooks.configuration_version() as version, d.priority, d.number;
