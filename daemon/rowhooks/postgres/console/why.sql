-- One change, and which hooks it starts.

-- name: change
-- A change with what is made of it. Rows that are too large are left out.
select
  c.id,
  c.transaction_id::text::bigint as transaction_id,
  c.time,
  c.action::text as action,
  c.tracked_table,
  c.object_type,
  c.object_id,
  c.object_id::text as object_id_json,
  left(c.object_repr, 300) as object_repr,
  case when not l.is_large then c.prechange::text end as prechange,
  case when not l.is_large then c.postchange::text end as postchange,
  l.is_large,
  c.db_user::text as db_user,
  left(c.user_name, 1000) as user_name,
  left(c.request_id, 1000) as request_id,
  left(c.change_context, 1000) as change_context,
  left(c.receiver, 1000) as receiver,
  left(c.capture_error, 2000) as capture_error,
  -- Columns of the table that the person may not read: they are not in the rows.
  case
    when has_table_privilege('rowhooks.object_change', 'SELECT') then '{}'
    else array(
      select a.attname::text
      from pg_attribute as a
      where a.attrelid = c.relation and a.attnum > 0 and not a.attisdropped
        and not has_column_privilege(a.attrelid, a.attnum, 'SELECT')
      order by a.attnum
    )
  end as hidden_columns,
  (select t.untracked_at from rowhooks.tracked_table as t where t.id = c.tracked_table) as untracked_at,
  f.is_behind,
  f.leader
from {changes} as c
cross join lateral (
  select coalesce(greatest(pg_column_size(c.prechange), pg_column_size(c.postchange)) > {LARGEST}, false) as is_large
) as l
cross join lateral (
  -- Whether the feed has put it behind its position.
  select
    f.leader,
    pg_visible_in_snapshot(c.transaction_id, f.snapshot)
    or (
      f.target is not null and c.id <= f.after_id and pg_visible_in_snapshot(c.transaction_id, f.target)
    ) as is_behind
  from rowhooks.feed as f
) as f
where c.id = $1;

-- name: configuration
-- Jobs and hooks, as a part of the configuration.
select json_build_object(
  'version', 0,
  'notify', true,
  'tables', json_build_array(),
  'jobs', ({jobs}),
  'hooks', ({hooks}),
  'buttons', json_build_array()
) as document;

-- name: runs
-- The runs that a change has started, its replays, and the runs that repeat these.
with first as (
  select {run}
  from {results} as r
  where r.object_change_id = $1 and r.trigger = 'change' and r.original_id is null
  union all
  select {run}
  from {results} as r
  where r.object_change_id = $1 and r.trigger = 'replay'
)

select f.* from first as f
union all
select o.*
from first as f
cross join lateral (
  select {run}
  from {results} as r
  where r.original_id = f.id
  -- Not merged with the rest, so that its condition reaches the index inside the view.
  offset 0
) as o
where f.original_id is null
order by created_at, id
limit $2;

-- name: writer
-- The run that wrote a change, among those that were put on record near to it: it has written its result in the change's
-- transaction.
select o.id, o.status, o.hook_name, o.button_name, o.class_path
from (
  select r.id, r.status, r.hook_name, r.button_name, r.class_path, r.key, r.transaction_id
  from {results} as r
  where r.created_at between $1::timestamptz - interval '1 day' and $1 + interval '10 minutes'
  order by r.created_at desc, r.id desc
  limit $4
) as o
where o.transaction_id = $2::text::xid8 and o.key = $3
limit 1;

-- noqa: disable=PRS

-- name: run
r.id, r.status, r.trigger, r.original_id, r.job_hook_id, r.hook_name, r.class_path, r.created_at, r.finished_at;
