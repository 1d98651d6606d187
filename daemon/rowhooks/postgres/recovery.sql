-- Runs that are on record and have not ended.

-- name: take_over
-- Takes over the runs $2, of whichever leader they are. It waits for rows that are locked: a former leader may be
-- recording one of them, and if that fails, the run is still to be run, and first.
with taken as (
  update rowhooks.job_result as r
  set leader_epoch = $1, attempt = r.attempt + (r.status = 'STARTED')::integer
  where r.id in (
    select u.id from rowhooks.job_result as u
    where u.id = any($2::bigint[]) and {is_unfinished}
    order by u.id
    for update
  )
  returning r.*
)
select {taken_up} from taken as t
order by t.id;

-- name: take_requested
-- Takes up what was requested by hand, the oldest first, $2 runs at the most.
with taken as (
  update rowhooks.job_result as r
  set leader_epoch = $1, attempt = r.attempt + (r.status = 'STARTED')::integer
  where r.id in (
    select u.id from rowhooks.job_result as u
    where u.status = 'PENDING' and u.leader_epoch is null
    order by u.id
    limit $2
    for update skip locked
  )
  returning r.*
)
select {taken_up} from taken as t
order by t.id;

-- name: presses
-- What presses are about. It is read apart from taking them up, as changes are: one that cannot be read must not keep the
-- others from being taken up.
select
  r.id,
  case when pg_column_size(r.object_id) <= {LARGE} then r.object_id::text end as object_id,
  convert_to(left(r.object_repr, {LONGEST_TEXT}), {byte_encoding}) as object_repr,
  r.db_user::text as db_user,
  left(r.user_name, {LONGEST_TEXT}) as user_name,
  r.inputs::text as inputs
from rowhooks.job_result as r
where r.id = any($1::bigint[]);

-- name: take_released
-- Takes over what has waited ($5) for the class of the hooks $2 and the buttons $3, the oldest first, $4 runs at the most.
with u as (
  update rowhooks.job_result as r
  set leader_epoch = $1
  where r.id in (
    select u.id from rowhooks.job_result as u
    where u.leader_epoch = $5 and {is_unfinished} and {is_of_these}
    order by u.id
    limit $4
    for update
  )
  returning r.*
)
select {place} from u
order by u.id;

-- name: left
-- What earlier leaders have left unfinished, beyond the id $4 and not of the hooks $2 and the buttons $3.
select {place} from rowhooks.job_result as u
where {is_unfinished} and u.leader_epoch <> $1 and u.id > $4 and not {is_of_these}
order by u.id
limit $5;

-- name: set_aside
-- Lets the runs of the hooks $2 and the buttons $3 wait ($1). What has begun will begin again; nobody has it until then.
update rowhooks.job_result as u
set
  leader_epoch = $1, attempt = u.attempt + (u.status = 'STARTED')::integer,
  status = case when u.status = 'STARTED' then 'PENDING' else u.status end
where {is_unfinished} and {is_of_these} and u.leader_epoch is distinct from $1;

-- name: set_aside_these
-- Lets the runs $2 wait ($1).
update rowhooks.job_result as u
set
  leader_epoch = $1, attempt = u.attempt + (u.status = 'STARTED')::integer,
  status = case when u.status = 'STARTED' then 'PENDING' else u.status end
where {is_unfinished} and u.id = any($2::bigint[]) and u.leader_epoch is distinct from $1;

-- name: waiting
-- How many runs wait for a leader that has their class, by job.
select
  k.job_id,
  k.runs
from ({kept_by_job}) as k
where k.job_id is not null;

-- name: note
-- Puts on record which rows have another key.
insert into rowhooks.key_change (id, tracked_table, object_id, former_object_id)
select
  n.id,
  n.tracked_table,
  n.object_id::jsonb as object_id,
  n.former_object_id::jsonb as former_object_id
from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[]) as n (id, tracked_table, object_id, former_object_id);

-- name: noted
-- Which rows have another key, in the order in which they got it.
select
  k.id,
  k.tracked_table,
  k.object_id::text as object_id,
  k.former_object_id::text as former_object_id
from rowhooks.key_change as k
order by k.id;

-- name: note_missed
-- Adds to what was not kept for hooks whose class is missing. A hook may have been removed meanwhile.
insert into rowhooks.job_hook_missed as m (job_hook_id, changes, first_at, last_at)
select v.job_hook_id, v.changes, v.first_at, v.last_at
from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
  as v (job_hook_id, changes, first_at, last_at)
where exists (select from rowhooks.job_hook as h where h.id = v.job_hook_id)
on conflict (job_hook_id) do update set
  changes = m.changes + excluded.changes,
  first_at = least(m.first_at, excluded.first_at), last_at = greatest(m.last_at, excluded.last_at);

-- name: are_requested
-- Whether anything that was requested by hand waits.
select {is_any_requested};

-- name: revoke
-- Ends runs that nothing can run any more.
update rowhooks.job_result as r
set status = 'REVOKED', finished_at = clock_timestamp()
where r.id = any($1::bigint[]) and r.finished_at is null;

-- noqa: disable=PRS

-- name: is_unfinished
-- Whether a run, `u`, has not ended.
u.status in ('PENDING', 'STARTED', 'RETRY');

-- name: is_of_these
-- Whether a run, `u`, is of the hooks $2 or the buttons $3.
coalesce(u.job_hook_id = any($2::integer[]), u.job_button_id = any($3::integer[]), false);

-- name: place
-- Where a run, `u`, stands: when its retry is due, and its lanes.
u.id, case when u.status = 'RETRY' then u.retry_at end, u.trigger <> 'press', coalesce(u.job_hook_id, u.job_button_id), u.tracked_table,
convert_to(case when pg_column_size(u.object_id) <= {LARGE} then u.object_id::text end, {byte_encoding}),
convert_to(
  case when pg_column_size(u.former_object_id) <= {LARGE} then u.former_object_id::text end, {byte_encoding}
);

-- name: taken_up
-- What a run, `t`, is made of.
t.id as result_id, t.trigger, t.original_id, t.object_change_id, t.job_hook_id, t.job_button_id, t.tracked_table,
t.status, t.attempt, t.retries, t.retry_at, t.key;
