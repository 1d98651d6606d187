-- One run, for a person. Texts and values are cut: they may be as long as a receiver likes.

-- name: run
select
  {run_columns},
  r.transaction_id::text as transaction_id,
  left(r.exception_type, 1000) as exception_type,
  left(r.exception_message, 10000) as exception_message,
  left(r.traceback, {LARGEST}) as traceback_head,
  case when length(r.traceback) > {LARGEST} then right(r.traceback, {LARGEST}) end as traceback_tail,
  length(r.traceback) as traceback_size,
  case when pg_column_size(r.result) <= {LARGEST} then r.result end as result,
  pg_column_size(r.result) as result_size,
  case when r.inputs <> 'null' then r.inputs end as inputs,
  coalesce(r.inputs = 'null', false) as are_inputs_hidden,
  -- Whether a daemon leads, where the run waits for one; null where that is not known.
  case when r.status = 'PENDING' then (rowhooks.numbers_of_status(1) ->> 'is_led')::boolean end as is_led,
  -- Where a hook receiver's writes are recorded.
  case
    when r.trigger <> 'press' then array(
      select rowhooks.qualified_name(t.schema_name, t.table_name)
      from rowhooks.tracked_table as t
      where t.audit_receivers and t.untracked_at is null
      order by t.schema_name, t.table_name
      limit 21
    )
  end as audited_tables
from {results} as r
where r.id = $1;

-- name: history
-- The run $1 and those that repeat it; the run $2 itself is not among them.
select r.id, r.status, r.created_at
from {results} as r
where (r.id = $1 or r.original_id = $1) and r.id <> $2
order by r.created_at desc, r.id desc
limit $3;

-- name: log_lines
-- The lines of a run behind a place, in the order of their times.
select {line}
from {log} as e
where e.job_result_id = $1 and ($2::timestamptz is null or (e.time, e.id) > ($2, $3::bigint))
order by e.time, e.id
limit $4;

-- name: written
-- What was written in the transaction $1 of the run with the key $2, the last first. In the transaction of a batch of a hook's
-- runs ($3), everything has the key of the first of them. Transactions of before a restore have numbers of others: so the
-- times ($4, $5) must fit too.
select
  c.id,
  c.time,
  c.action,
  c.object_type,
  c.object_id,
  c.object_repr,
  case when pg_column_size(c.prechange) <= {LARGEST} then c.prechange end as prechange,
  case when pg_column_size(c.postchange) <= {LARGEST} then c.postchange end as postchange,
  greatest(pg_column_size(c.prechange), pg_column_size(c.postchange)) > {LARGEST} as is_large,
  c.capture_error,
  coalesce($2 in (c.receiver, c.request_id), false) as is_own
from {changes} as c
where c.transaction_id = $1::text::xid8
  and (c.request_id = $2 or c.receiver = $2 or ($3 and c.receiver is not null))
  and c.time between $4::timestamptz - interval '1 hour' and coalesce($5::timestamptz, now()) + interval '1 hour'
order by c.id desc
limit $6;

-- name: state
-- How a run stands.
select r.id, r.status, r.attempt, r.retries, r.retry_at, r.created_at, r.started_at, r.finished_at
from {results} as r
where r.id = $1;

-- name: lines_up_to
-- The ids of a run's lines up to one.
select e.id
from {log} as e
where e.job_result_id = $1 and e.id <= $2
order by e.id
limit $3;

-- name: new_lines
-- The lines of a run that are not among $2. One may become visible after lines with higher ids.
select {line}
from {log} as e
where e.job_result_id = $1 and not (e.id = any($2::bigint[]))
order by e.time, e.id
limit $3;

-- name: first
-- The first of all the runs that a run repeats.
select coalesce(r.original_id, r.id) as id from {results} as r where r.id = $1;

-- name: repeats
-- The runs that repeat a run, the newest first.
select r.id from {results} as r where r.original_id = $1 order by r.created_at desc, r.id desc;

-- noqa: disable=PRS

-- name: line
e.id, e.time, e.level, left(e.grouping, 200) as grouping, left(e.message, {LONGEST_MESSAGE} + 1) as message,
length(e.message) as size, e.object_type, left(e.object_repr, 200) as object_repr;
