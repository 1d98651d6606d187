-- What the pages of hooks, buttons and jobs ask alike.

-- name: runs
-- The newest runs of the last day, at most $1 of them, counted by hook or button, job and status.
select c.job_hook_id, c.job_button_id, c.class_path, c.status, c.runs, c.oldest
from rowhooks.run_counts(clock_timestamp() - interval '1 day', $1) as c;

-- name: choices
-- What the form of a hook or button offers: the jobs of its kind ($1), and the tracked tables, with those that the hook or
-- button $2 is on, if there is one.
select
  coalesce(
    (
      select jsonb_agg(
        jsonb_build_object('class_path', j.class_path, 'enabled', j.enabled, 'installed', j.installed) order by j.class_path
      )
      from rowhooks.job as j
      where j.kind = $1
    ),
    '[]'
  ) as jobs,
  coalesce((select jsonb_agg(to_jsonb(t) order by t.name) from ({tables}) as t), '[]') as tables;

-- name: unfinished
-- How many runs of a hook ($1) or button ($2) have not ended; $3 at most.
select rowhooks.unfinished_runs($1, $2, $3) as runs;

-- name: tables
-- The tracked tables, see `choices`.
select
  format('%I.%I', n.nspname, c.relname) as quoted,
  rowhooks.qualified_name(n.nspname, c.relname) as name,
  exists(
    select from rowhooks.table_meant as m
    where m.kind = $1 and m.owner_id = $2::integer and m.id = t.id and m.is_present
  ) as is_chosen,
  array(
    select a.attname::text from pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    order by a.attnum
  ) as columns
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
join pg_namespace as n on n.oid = c.relnamespace
where t.untracked_at is null;
