-- Changes as the connected role may see them: see rowhooks.visible_changes. {log} is the log, see log_of in common.py.

-- name: show
select
  c.id, c.time, c.action, c.object_type, c.object_id, c.object_repr, c.prechange, c.postchange, c.user_name, c.db_user,
  c.request_id, c.change_context, c.receiver, c.capture_error, c.transaction_id
from rowhooks.visible_changes as c
where c.id = $1;

-- name: list
select
  c.id,
  c.time,
  c.action,
  c.object_type,
  c.object_id,
  c.object_repr,
  c.user_name,
  c.db_user,
  c.request_id,
  c.change_context,
  c.receiver
from rowhooks.visible_changes as c
where ($1::text is null or c.tracked_table = any({entries})) and ($2::text is null or c.action::text = $2)
  and ($3::timestamptz is null or c.time >= $3)
  and ($4::bigint is null or c.id >= $4)
  and ($5::bigint is null or c.id < $5)
order by c.id desc
limit $6;

-- name: runs
select r.id, r.status, r.hook_name, r.class_path
from rowhooks.visible_results as r
where r.object_change_id = $1
order by r.created_at, r.id;

-- name: sizes
select c.id, {size}
from {log} as c
where {wanted}
order by c.id;

-- name: count
select count(*) as changes
from {log} as c
where {wanted};

-- noqa: disable=PRS
-- name: wanted
-- What the feed leaves out too: truncates have no row, and what hook receivers wrote starts no hook.
c.receiver is null
  and c.action <> 'truncate'
  and ($1::timestamptz is null or c.time >= $1)
  and ($2::timestamptz is null or c.time < $2)
  and ($3::integer[] is null or c.tracked_table = any($3))

-- name: entries
-- The tables with the name $1. A condition on the name itself would be asked of each line that the role may see.
array(
  select t.id from rowhooks.tracked_table as t where rowhooks.qualified_name(t.schema_name, t.table_name) = $1
);
