-- Changes, listed for a person. `matches` takes $1 to $10.

-- name: older
-- The view is sorted. With an order beside the limit, the planner would not know of the limit inside the view, and read all of
-- the log where few lines match.
select o.*
from (
  select {columns}
  from {changes} as c
  where {matches} and ($11::bigint is null or c.id < $11)
  limit $12
) as o
order by o.id desc;

-- name: newer
-- The view is read from the newest on, whatever order is asked for. So this looks at spans of ids behind the place, each four
-- times as long as the one before, and sorts what the first one holds that is long enough.
with recursive spans as (
  select u.until, f.found
  from (select $11::bigint + 1000 as until) as u
  cross join lateral ({found}) as f
  union all
  select u.until, f.found
  from spans as s
  cross join lateral (select $11 + (s.until - $11) * 4 as until) as u
  cross join lateral ({found}) as f
  where s.found < $12 and s.until < (select w.id from {changes} as w order by w.id desc limit 1)
)

select o.*
from (select coalesce(min(s.until) filter (where s.found >= $12), 9223372036854775807) as until from spans as s) as u
cross join lateral (
  select {columns}
  from {changes} as c
  where {matches} and c.id > $11 and c.id < u.until
  -- Not merged with the rest, so that its conditions reach the index inside the view.
  offset 0
) as o
order by o.id
limit $12;

-- name: tables
-- The table that is asked for, by what it is called, and some others to choose from.
select t.id, n.name, n.name = $1 as is_wanted
from rowhooks.tracked_table as t
cross join rowhooks.qualified_name(t.schema_name, t.table_name) as n (name)
where n.name = $1
union all
(
  select t.id, n.name, false
  from rowhooks.tracked_table as t
  cross join rowhooks.qualified_name(t.schema_name, t.table_name) as n (name)
  where t.untracked_at is null and length(n.name) <= 60
  order by n.name
  limit $2
);

-- name: boundaries
-- For each of some times, in their order: the highest id up to which all changes were made before it, for ids are drawn in the
-- order of the times. The half in which it lies is searched again and again.
select b.id
from unnest($1::timestamptz[]) with ordinality as t (at, number)
cross join lateral (
  with recursive search as (
    select 0::bigint as low, coalesce((select w.id from {changes} as w order by w.id desc limit 1), 0) as high
    union all
    select
      case when c.time < t.at is not false then m.middle else m.low end,
      case when c.time < t.at is not false then m.high else least(c.id, m.middle) - 1 end
    from (
      select s.low, s.high, (s.low + s.high + 1) / 2 as middle
      from search as s
      where s.low < s.high
    ) as m
    left join lateral (
      select w.id, w.time from {changes} as w where w.id <= m.middle order by w.id desc limit 1
    ) as c on true
  )

  select max(s.low) as id from search as s
) as b
order by t.number;

-- name: run
-- The transaction and the key of a run.
select r.transaction_id::text as transaction_id, r.key from {results} as r where r.id = $1;

-- noqa: disable=PRS

-- name: columns
-- What a line of a listing shows.
c.id, c.time, c.action::text as action, c.object_type, c.object_id, left(c.object_repr, 300) as object_repr,
left(c.user_name, 300) as user_name, c.db_user, left(c.request_id, 300) as request_id,
left(c.change_context, 300) as change_context, c.receiver is not null as by_receiver,
left(c.capture_error, 300) as capture_error;

-- name: found
-- How many of those wanted there are up to the id u.until, as far as the limit.
select count(*) as found
from (
  select
  from {changes} as c
  where {matches} and c.id > $11 and c.id < u.until
  order by c.id desc
  limit $12
) as o;

-- name: matches
($1::integer[] is null or c.tracked_table = any($1))
and ($2::text is null or c.action::text = $2)
and ($3::text is null or $3 in (c.user_name, c.db_user::text))
and ($4::timestamptz is null or c.time >= $4)
and ($5::timestamptz is null or c.time < $5)
and ($6::jsonb is null or c.object_id = $6)
and ($7::text is null or exists (select from jsonb_each_text(c.object_id) as k (name, value) where k.value = $7))
and ($8::text is null or c.request_id = $8)
and ($9::text is null or c.transaction_id = $9::xid8)
and ($10::bigint[] is null or c.id between $10[1] and $10[2]);
