-- Results, log lines and the position, written. The lists of columns, and the queries of what is given for them, come
-- from results.py. In a run's own transaction the search_path is the login's: there every operator is qualified (and
-- the linter would put a space into that).
-- noqa: disable=LT01,LT06

-- name: record_lines
-- Writes log lines of runs that are on record under the leader epoch $8.
insert into rowhooks.job_log_entry ({entry_columns})
select v.* from ({given_entries}) as v
where exists (select from rowhooks.job_result as r where r.id = v.job_result_id and r.leader_epoch = $8);

-- name: ended
-- Those of the runs $2 that are not to begin. Runs without a row are on their way there; another leader's runs are not
-- ours to begin.
select r.id
from rowhooks.job_result as r
where r.id = any($2::bigint[]) and (r.finished_at is not null or r.leader_epoch is distinct from $1);

-- name: revoked
-- Those of these runs that were revoked.
select r.id
from rowhooks.job_result as r
where r.id = any($1::bigint[]) and r.status = 'REVOKED';

-- name: on_record
-- How those of these runs have ended that have.
select
  r.id,
  r.status,
  r.started_at,
  r.finished_at,
  r.result::text as result,
  r.exception_type,
  r.exception_message,
  r.traceback
from rowhooks.job_result as r
where r.id = any($1::bigint[]) and r.finished_at is not null;

-- name: move
-- Stores the position, under the leader epoch $1; returns nothing where another one has begun.
update rowhooks.feed
set
  snapshot = $2::text::pg_snapshot, target = $3::text::pg_snapshot,
  after_id = $4, floor_id = $5, newest_id = $6, moved_at = now()
where leader_epoch = $1
returning true;

-- The linter does not know the condition of a unique index in ON CONFLICT.
-- noqa: disable=PRS

-- name: record_started
-- Writes results of runs that changes have started. A change starts a hook once, whichever leader reads it.
insert into rowhooks.job_result ({columns})
select g.* from ({given}) as g
on conflict (object_change_id, job_hook_id) where trigger operator(pg_catalog.=) 'change' and original_id is null
do update set {outcome}
where {may_end}
returning id;

-- name: record_requested
-- Writes results of runs that were requested by hand; they have their rows already.
insert into rowhooks.job_result ({columns})
select g.* from ({given}) as g
on conflict (id)
do update set {outcome}
where {may_end}
returning id;

-- name: record_few_started
-- Stores the position as `move` does and, if that may be, writes results of runs that changes have started. The row of the
-- feed is locked first: what is given comes with it. Returns whether the leader epoch holds, and the ids of the results.
with leads as ({move}),

recorded as ({record_started})

select
  exists (select from leads) as leads,
  array(select r.id from recorded as r) as ids;

-- name: record_few_requested
-- The same for runs that were requested by hand.
with leads as ({move}),

recorded as ({record_requested})

select
  exists (select from leads) as leads,
  array(select r.id from recorded as r) as ids;

-- name: record_started_in_run
-- As record_started, in a run's own transaction: its login may write the outcome of a run and not read it. Such a login
-- may not name the columns that are proposed for insertion either, so they are read from what is given.
with given as ({given})
insert into rowhooks.job_result ({columns})
select {columns} from given where {is_in_its_transaction}
on conflict (object_change_id, job_hook_id) where trigger operator(pg_catalog.=) 'change' and original_id is null
do update set {outcome_as_given}
where {may_end}
returning id;

-- name: record_requested_in_run
-- As record_requested, in a run's own transaction.
with given as ({given})
insert into rowhooks.job_result ({columns})
select {columns} from given where {is_in_its_transaction}
on conflict (id)
do update set {outcome_as_given}
where {may_end}
returning id;

-- name: is_in_its_transaction
-- True, or an error with the message ENDED: the variable ends with the run's transaction, which the receiver has ended.
case
  when pg_catalog.current_setting('{RUN}', true) operator(pg_catalog.<>) '' then true
  else pg_catalog.concat('{ENDED} ', pg_catalog.current_setting('{RUN}', true))::boolean
end;

-- name: may_end
-- A finished status is never overwritten, and a run of an earlier leader does not end in place of a later leader's. That a run
-- waits is news of one that is not on record alone: a worker may have recorded more of it meanwhile.
job_result.leader_epoch operator(pg_catalog.=) excluded.leader_epoch and job_result.finished_at is null
and excluded.status operator(pg_catalog.<>) 'PENDING';

-- name: outcome
-- What becomes of a row that exists.
status = excluded.status, attempt = excluded.attempt, retries = excluded.retries, retry_at = excluded.retry_at,
started_at = excluded.started_at, finished_at = excluded.finished_at,
result = excluded.result, exception_type = excluded.exception_type,
exception_message = excluded.exception_message, traceback = excluded.traceback;

-- name: outcome_as_given
-- The same, for a login that may not read all columns.
status = excluded.status, attempt = excluded.attempt, retries = excluded.retries, retry_at = excluded.retry_at,
started_at = excluded.started_at, finished_at = excluded.finished_at,
(result, exception_type, exception_message, traceback) = (
  select g.result, g.exception_type, g.exception_message, g.traceback from given as g
  where g.id operator(pg_catalog.=) job_result.id
);
