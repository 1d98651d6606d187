-- Runs, listed for a person. `matches` takes $1 to $11.

-- name: older
-- The view is sorted. With an order beside the limit, the planner would not know of the limit inside the view, and read all
-- runs where few match.
select o.*
from (
  select {columns}
  from {results} as r
  where {matches} and ($12::timestamptz is null or (r.created_at, r.id) < ($12, $13::bigint))
  limit $14
) as o
order by o.created_at desc, o.id desc;

-- name: newer
-- The view is read from the newest on, whatever order is asked for. So this looks at spans of time behind the place, each four
-- times as long as the one before, and sorts what the first one holds that is long enough.
with recursive spans as (
  select u.until, f.found
  from (select $12::timestamptz + interval '1 s' as until) as u
  cross join lateral ({found}) as f
  union all
  select u.until, f.found
  from spans as s
  cross join lateral (select $12 + (s.until - $12) * 4 as until) as u
  cross join lateral ({found}) as f
  where s.found < $14 and s.until < now()
)

select o.*
from (select coalesce(min(s.until) filter (where s.found >= $14), 'infinity') as until from spans as s) as u
cross join lateral (
  select {columns}
  from {results} as r
  where {matches} and (r.created_at, r.id) > ($12, $13::bigint) and r.created_at < u.until
  -- Not merged with the rest, so that its conditions reach the index inside the view.
  offset 0
) as o
order by o.created_at, o.id
limit $14;

-- name: news
-- Runs that have come and are not among $13, and the runs $14 as they are now.
select n.* from (
  (
    select {columns}
    from {results} as r
    where {matches} and r.created_at >= $12::timestamptz and not (r.id = any($13::bigint[]))
    order by r.created_at desc, r.id desc
    limit $15
  )
  union all
  select {columns}
  from {results} as r
  where r.id = any($14::bigint[])
) as n
order by n.created_at desc, n.id desc;

-- name: names
(select 'hook' as kind, h.name from rowhooks.job_hook as h where length(h.name) <= 60 order by h.name limit $1)
union all
(select 'button', b.name from rowhooks.job_button as b where length(b.name) <= 60 order by b.name limit $1)
union all
(select 'job', j.class_path from rowhooks.job as j where length(j.class_path) <= 60 order by j.class_path limit $1)
union all
(
  select 'table', n.name
  from rowhooks.tracked_table as t
  cross join rowhooks.qualified_name(t.schema_name, t.table_name) as n (name)
  where t.untracked_at is null and length(n.name) <= 60
  order by n.name
  limit $1
);

-- noqa: disable=PRS

-- name: columns
-- What a line of a listing shows. Texts are cut: an exception's message may be as long as its author likes.
r.id, r.status, r.trigger, r.original_id, r.class_path, r.hook_name, r.button_name, r.action, r.object_type, r.object_id,
left(r.object_repr, 300) as object_repr, r.object_change_id, r.db_user, r.user_name, r.attempt, r.retry_at, r.created_at,
r.started_at, r.finished_at, left(r.exception_type, 300) as exception_type,
left(r.exception_message, 300) as exception_message, r.batch_id;

-- name: found
-- How many of those wanted there are up to the time u.until, as far as the limit.
select count(*) as found
from (
  select
  from {results} as r
  where {matches} and (r.created_at, r.id) > ($12, $13::bigint) and r.created_at < u.until
  order by r.created_at desc, r.id desc
  limit $14
) as o;

-- name: matches
($1::text[] is null or r.status = any($1))
and ($2::text is null or r.class_path = $2)
and ($3::text is null or r.hook_name = $3)
and ($4::text is null or r.button_name = $4)
and ($5::text is null or r.object_type = $5)
and ($6::text is null or r.trigger = $6)
and ($7::timestamptz is null or r.created_at >= $7)
and ($8::timestamptz is null or r.created_at < $8)
and (
  $9::text is null
  or (
    r.exception_type is not null
    and strpos(lower(concat_ws(': ', r.exception_type, r.exception_message)), lower($9)) > 0
  )
)
and ($10::text is null or $10 in (r.user_name, r.db_user::text, r.login::text))
and ($11::bigint is null or r.batch_id = $11);
