-- What the code says of jobs and hooks, written into the database.

-- name: compare
-- How the classes that were found ($1, JSON) differ from the jobs: fresh, changed, missing, and of another kind.
with found as (
  select f.* from {found_classes}
), not_theirs as (
  select j.id, j.class_path, j.kind, f.kind as kind_now
  from rowhooks.job as j
  join found as f on f.class_path = j.class_path
  where j.kind <> f.kind and (
    exists (select from rowhooks.job_hook as h where h.job_id = j.id)
    or exists (select from rowhooks.job_button as b where b.job_id = j.id)
  )
)
select
  array(
    select f.class_path
    from found as f
    where not exists (select from rowhooks.job as j where j.class_path = f.class_path)
  ) as fresh,
  array(
    select f.class_path
    from found as f
    join rowhooks.job as j on j.class_path = f.class_path
    where (j.kind, j.name, j.grouping, j.description, j.hidden, j.meta, j.inputs_schema, j.installed)
      is distinct from (f.kind, f.name, f.grouping, f.description, f.hidden, f.meta, f.inputs_schema, true)
      and j.id not in (select n.id from not_theirs as n)
  ) as changed,
  -- Texts: asyncpg asks for 10 ms what an array of integers is.
  array(
    select j.id::text
    from rowhooks.job as j
    where j.installed and (
      j.id in (select n.id from not_theirs as n)
      or not exists (select from found as f where f.class_path = j.class_path)
    )
  ) as missing,
  (
    select coalesce(json_agg(json_build_array(n.class_path, n.kind, n.kind_now) order by n.class_path), '[]')::text
    from not_theirs as n
  ) as not_theirs;

-- name: note_missing
-- Notes that no class was found for the jobs $1.
update rowhooks.job as j
set installed = false
where j.id = any($1::text[]::integer[]);

-- name: insert_jobs
-- Adds the jobs of the classes $2.
insert into rowhooks.job (class_path, kind, name, grouping, description, hidden, meta, inputs_schema)
select f.class_path, f.kind, f.name, f.grouping, f.description, f.hidden, f.meta, f.inputs_schema
from {found_classes}
where f.class_path = any($2::text[])
on conflict (class_path) do nothing;

-- name: update_jobs
-- Brings the jobs of the classes $2 up to date.
update rowhooks.job as j
set
  kind = f.kind, name = f.name, grouping = f.grouping, description = f.description, hidden = f.hidden, meta = f.meta,
  inputs_schema = f.inputs_schema, installed = true
from {found_classes}
where j.class_path = f.class_path and f.class_path = any($2::text[]);

-- name: tracked
-- The tables of these names, with their entries where they are tracked.
select rowhooks.qualified_name(n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as quoted, t.id
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join rowhooks.tracked_table as t on t.relation = c.oid and t.untracked_at is null
where rowhooks.qualified_name(n.nspname, c.relname) = any($1::text[]);

-- name: superfluous
-- The declared hooks of installed jobs that their classes declare no more.
select h.id
from rowhooks.job_hook as h
join rowhooks.job as j on j.id = h.job_id
where h.declared and j.installed and not exists (
  select from unnest($1::text[], $2::text[]) as w (class_path, name)
  where w.class_path = j.class_path and w.name = h.name
);

-- name: same_name
-- The hook of a name, whether it is as declared, and its tables: as given, and as they are meant now.
select
  h.id, h.declared, j.class_path, j.installed,
  (h.type_create, h.type_update, h.type_delete) = ($2, $3, $4)
    and h.columns = $5::text[] and (h.conditions is not distinct from $6::jsonb) and h.on_undecided = $7
    and h.ignored_columns = $8::text[] and (h.queue is not distinct from $9) as as_declared,
  h.waits_for,
  (
    select coalesce(json_agg(json_build_object(
      'id', x.tracked_table_id, 'present', m.id, 'given', rowhooks.qualified_name(x.schema_name, x.table_name)
    )), '[]')
    from rowhooks.job_hook_table as x
    left join rowhooks.table_meant as m
      on m.kind = 'hook' and m.owner_id = h.id and m.named_id = x.tracked_table_id and m.is_present
    where x.job_hook_id = h.id
  )::text as links
from rowhooks.job_hook as h
join rowhooks.job as j on j.id = h.job_id
where h.name = $1;

-- name: insert_hook
-- Adds a declared hook.
insert into rowhooks.job_hook
  (name, job_id, type_create, type_update, type_delete, columns, conditions, on_undecided, ignored_columns, queue,
   enabled, declared)
select
  $1 as name, j.id, $2 as type_create, $3 as type_update, $4 as type_delete, $5::text[] as columns,
  $6::jsonb as conditions, $7 as on_undecided, $8::text[] as ignored_columns, $9 as queue, $11 as enabled,
  true as declared
from rowhooks.job as j
where j.class_path = $10
returning id;

-- name: update_hook
-- Gives a declared hook what its class says now.
update rowhooks.job_hook
set
  type_create = $2, type_update = $3, type_delete = $4, columns = $5::text[], conditions = $6::jsonb, on_undecided = $7,
  ignored_columns = $8::text[], queue = $9
where id = $1;

-- noqa: disable=PRS

-- name: found_classes
-- The classes that were found ($1, JSON).
jsonb_to_recordset($1::jsonb)
as f(
  class_path text, kind text, name text, grouping text, description text, hidden boolean, meta jsonb, inputs_schema jsonb
);
