-- What happened to one row, as a person may see it. The log has no index by rows, which each writer would have to pay for. So it
-- is looked through from its end backwards, in parts; or read by such an index, where an administrator has made one.

-- name: changes_of_row
-- The changes of the row with the key $2 of the table $1 before the change $3 (null: from the newest on), found among $4
-- changes of the log; at most $5. A row without an id says where the part begins and where the log does.
with place as materialized (
  select coalesce($3::bigint, s.last_value + 1) as before
  from rowhooks.object_change_id_seq as s
),

indexed as materialized (
  select count(*) > 0 as is_there
  from pg_index as i
  where i.indrelid = 'rowhooks.object_change'::regclass and i.indisvalid and i.indpred is null and i.indnkeyatts = 3
    and pg_get_indexdef(i.indexrelid, 1, false) = 'tracked_table'
    and pg_get_indexdef(i.indexrelid, 2, false) = '((object_id)::text)'
    and pg_get_indexdef(i.indexrelid, 3, false) = 'id'
),

by_index as materialized (
  select o.id
  from rowhooks.tracked_table as t
  -- The view is sorted; see `older` of changes.sql.
  cross join lateral (
    select v.id
    from {changes_by_row} as v
    where v.tracked_table = t.id and v.object_key = ($2::jsonb)::text and v.id < (select p.before from place as p)
    limit $5
  ) as o
  where t.relation = $1::oid and (select i.is_there from indexed as i)
  order by o.id desc
  limit $5
),

looked_through as materialized (
  select v.id
  from {changes} as v
  where not (select i.is_there from indexed as i)
    and v.tracked_table = any(array(select t.id from rowhooks.tracked_table as t where t.relation = $1::oid))
    and v.object_key = ($2::jsonb)::text
    and v.id < (select p.before from place as p)
    and v.id >= (select p.before from place as p) - $4::bigint
  order by v.id desc
  limit $5
),

found as (
  select b.id from by_index as b
  union all
  select l.id from looked_through as l
)

select
  null::bigint as id,
  null::timestamptz as time,
  null::text as action,
  null::jsonb as prechange,
  null::jsonb as postchange,
  null::boolean as is_large,
  null::text as db_user,
  null::text as user_name,
  null::text as request_id,
  null::text as receiver,
  null::text as capture_error,
  p.before - $4::bigint as part_begins,
  (
    -- Partitions are named by their lowest ids. The default partition is empty, or holds any.
    select case when bool_or(b.relname = 'object_change_default' and b.relpages > 0) then 0 else
      min(substring(b.relname from '^object_change_(\d{1,18})$')::bigint) end
    from pg_inherits as i
    join pg_class as b on b.oid = i.inhrelid
    where i.inhparent = 'rowhooks.object_change'::regclass
  ) as log_begins,
  (select i.is_there from indexed as i) as is_indexed
from place as p
union all
(
  select
    v.id,
    v.time,
    v.action::text,
    case when pg_column_size(v.prechange) <= {LARGEST} then v.prechange end,
    case when pg_column_size(v.postchange) <= {LARGEST} then v.postchange end,
    greatest(pg_column_size(v.prechange), pg_column_size(v.postchange)) > {LARGEST},
    v.db_user,
    v.user_name,
    v.request_id,
    v.receiver,
    v.capture_error,
    null,
    null,
    null
  from {changes} as v
  where v.id = any(array(select f.id from found as f))
  order by v.id desc
);

-- name: runs_of_row
-- The runs that the changes $1 have started, with what has become of them when they were run again; and the $4 newest presses on
-- the row with the key $3 of the table $2, if $5.
with started as materialized (
  select {run}
  from {results} as r
  where r.object_change_id = any($1::bigint[]) and r.trigger = 'change' and r.original_id is null
  union all
  select {run}
  from {results} as r
  where r.object_change_id = any($1::bigint[]) and r.trigger = 'replay'
),

again as materialized (
  select {run}
  from {results} as r
  where r.original_id = any(array(select s.id from started as s)) and r.original_id is not null
)

(select s.* from started as s limit $6)
union all
(select a.* from again as a limit $6)
union all
(
  select {run}
  from {results} as r
  where $5::boolean
    and r.trigger = 'press'
    and r.tracked_table = (
      select t.id from rowhooks.tracked_table as t where t.relation = $2::oid order by t.untracked_at desc nulls first limit 1
    )
    and r.object_key = ($3::jsonb)::text
  order by r.created_at desc, r.id desc
  limit $4
);

-- noqa: disable=PRS

-- name: run
r.id, r.status, r.trigger, r.original_id, r.object_change_id, r.hook_name, r.button_name, r.class_path, r.attempt,
r.db_user, r.user_name, r.created_at, r.started_at, r.finished_at
