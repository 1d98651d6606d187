-- What the pages of replays ask.

-- name: hooks
-- The hooks by name, at most $1; with the tracked tables.
select
  coalesce(
    (
      select jsonb_agg(jsonb_build_object('name', h.name, 'job', h.class_path) order by h.name)
      from (
        select o.name, j.class_path
        from rowhooks.job_hook as o
        join rowhooks.job as j on j.id = o.job_id
        order by o.name
        limit $1
      ) as h
    ),
    '[]'
  ) as hooks,
  coalesce(
    (
      select jsonb_agg(jsonb_build_object('quoted', t.quoted, 'name', t.name) order by t.name)
      from (
        select format('%I.%I', n.nspname, c.relname) as quoted, rowhooks.qualified_name(n.nspname, c.relname) as name
        from rowhooks.tracked_table as k
        join pg_class as c on c.oid = k.relation
        join pg_namespace as n on n.oid = c.relnamespace
        where k.untracked_at is null
        order by 2
        limit $1
      ) as t
    ),
    '[]'
  ) as tables;

-- name: place
-- Where the changes of a time span ($1 to $2) are in the log, with a margin of $3 for clocks that are turned; and the time.
select
  rowhooks.first_change_since($1::timestamptz - $3::interval) as first_id,
  rowhooks.first_change_since(coalesce($2::timestamptz, clock_timestamp()) + $3::interval) + 1000 as last_id,
  clock_timestamp() as now;

-- name: part
-- The next changes of a time span ($4 to $5) and tables ($3) that could start a hook, in the order of their ids: those above $1
-- and not above $2, at most $6. Once the rows have $7 bytes, the others are left for the next time; a change that alone has
-- more than $8 comes without its rows. They are found by their ids first, which are sorted; then read.
with wanted as (
  select v.id
  from {changes} as v
  where v.id > $1 and v.id <= $2 and v.tracked_table = any($3::integer[])
    and v.time >= $4::timestamptz and v.time < $5::timestamptz and v.receiver is null and v.action <> 'truncate'
  order by v.id
  limit $6
),

part as (
  select c.*, {size} as bytes, sum({size}) over (order by c.id) as bytes_so_far, row_number() over (order by c.id) as place
  from {changes} as c
  where c.id = any(array(select w.id from wanted as w))
)

select
  {visible_columns}, c.bytes > $8 as is_too_large,
  case when c.bytes <= $8 then c.prechange::text end as prechange,
  case when c.bytes <= $8 then c.postchange::text end as postchange,
  c.id < (select max(w.id) from wanted as w) as has_more
from part as c
where c.bytes_so_far <= $7 or c.place = 1
order by c.id;

-- name: lock
-- One request at a time asks for the runs of a replay ($1).
select pg_advisory_xact_lock(hashtextextended($1, 0));

-- name: requested
-- The changes among $2 for which runs of the hook $1 have been requested since $3.
select r.id from rowhooks.replayed_changes($1, $2, $3) as r (id);

-- name: sees_all
-- Whether the asking role may read the whole log.
select has_table_privilege('rowhooks.object_change', 'SELECT') as is_so;

-- name: states
-- The runs of the hook $1 that were requested as replays since $2, by status; $3 of the newest replays are looked at.
select
  coalesce(jsonb_object_agg(c.status, c.runs) filter (where c.job_hook_id = $1), '{}') as states,
  coalesce(sum(c.runs), 0) as looked_at
from rowhooks.run_counts($2, $3, 'replay') as c;
